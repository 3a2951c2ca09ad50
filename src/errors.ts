/** The error classes, and the conversion of a runtime's own errors to them. */

import { brand } from "./brand.ts";
import { errnoName, Refusal } from "./kernel/system_error.ts";
import { tlsCode, tlsDetail } from "./tls/codes.ts";
import type { NetAddr, UnixAddr } from "./kernel/address.ts";

/** The call that failed. */
export type Operation =
  | "connect"
  | "listen"
  | "accept"
  | "read"
  | "write"
  | "setsockopt"
  | "getsockopt"
  | "finish"
  | "drain"
  | "idle";

/** The address that an error is about. Of a Unix socket it has `path` instead of the other two. */
export type ErrorAddress = Pick<NetAddr, "hostname" | "port"> & Partial<Pick<UnixAddr, "path">>;

/** Arguments of the constructor of {@linkcode TimeoutError}. */
export type TimeoutErrorOptions =
  & Pick<TimeoutError, "operation" | "timeout">
  & Partial<Pick<TimeoutError, "address" | "bytesWritten" | "diagnosis">>
  & {
    /** Of `connect` with `retry`: the error of the last attempt. */
    cause?: unknown;
  };

/**
 * A call took longer than its `timeout` or its `deadline`. The connection stays usable and no byte is
 * lost. `name` is `"TimeoutError"` and `code` is `"ETIMEDOUT"`. When the kernel has given the peer up,
 * the error is a {@linkcode DeadPeerError} instead.
 *
 * @example Go on after a timeout
 * ```ts
 * import { connect, listen, TimeoutError } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 5_000 });
 * try {
 *   await socket.read(new Uint8Array(64), { timeout: 20 });
 * } catch (error) {
 *   if (!(error instanceof TimeoutError)) throw error;
 *   console.log(error.operation, error.timeout); // read 20
 * }
 * ```
 */
export class TimeoutError extends Error {
  /** `"TimeoutError"`. */
  override readonly name = "TimeoutError";
  /** Always `"ETIMEDOUT"`. */
  readonly code = "ETIMEDOUT";
  /**
   * The call that ran out of time; `"finish"` when it is the reason of a deadline's `signal`, `"idle"` when no
   * byte came or went for so long.
   */
  readonly operation: "connect" | "read" | "write" | "accept" | "finish" | "drain" | "idle";
  /** The limit that was exceeded, in ms. */
  readonly timeout: number;
  /** Peer (connect, read, write) or listening address (accept). */
  readonly address: ErrorAddress | undefined;
  /** Of a write: how many bytes, from the start of the data, the connection has taken and will send. */
  readonly bytesWritten: number | undefined;
  /** What the kernel knew at that moment, in a sentence. */
  readonly diagnosis: string | undefined;
  /** Whether the connection or listener can still be used: `true`, except for `connect`. */
  readonly connectionUsable: boolean;

  /** Made by this library; construct one only to test how your code handles it. */
  constructor(options: TimeoutErrorOptions) {
    const { operation, timeout, address, bytesWritten, diagnosis, cause } = options;
    const where = formatAddress(operation, address);
    const limit = operation === "idle"
      ? `Cannot wait any longer${where}: no byte came or went for ${timeout} ms`
      : `Cannot ${operation}${where} within ${timeout} ms`;
    const sent = bytesWritten === undefined ? "" : ` (${bytesWritten} bytes written)`;
    super(
      `${limit}${sent}${diagnosis ? `: ${diagnosis}` : ""}`,
      cause === undefined ? undefined : { cause },
    );
    this.operation = operation;
    this.timeout = timeout;
    this.address = copyOf(address);
    this.bytesWritten = bytesWritten;
    this.diagnosis = diagnosis;
    this.connectionUsable = operation !== "connect";
  }
}

/** Arguments of the constructor of {@linkcode SocketError}. */
export interface SocketErrorOptions
  extends
    Pick<SocketError, "code" | "operation">,
    Partial<Pick<SocketError, "address" | "errors" | "elapsed" | "connectionUsable">> {
  /** The runtime's own error. */
  cause?: unknown;
  /** Used in the message in place of the meaning of `code`. */
  detail?: string;
}

/**
 * The system refused something, or ended a connection. `code` is the POSIX name in every runtime
 * (`ECONNREFUSED`, `ECONNRESET`, `EPIPE`, `EADDRINUSE`, `ENOTFOUND`, ...). A pending call that `close()`
 * ended, or that ended because the program closed `native`, has `ECANCELED`; a call after `close()` has
 * `EBADF`. `cause` is the runtime's own error.
 *
 * @example Tell a refused connection from other failures
 * ```ts
 * import { connect, listen, SocketError } from "@holdfast/tcp";
 *
 * const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
 * listener.close();
 * try {
 *   await connect({ port: listener.addr.port, timeout: 1_000 });
 * } catch (error) {
 *   if (!(error instanceof SocketError)) throw error;
 *   console.log(error.code); // ECONNREFUSED
 * }
 * ```
 */
export class SocketError extends Error {
  /** `"SocketError"`. */
  override readonly name: string = "SocketError";
  /** POSIX name, such as `"ECONNREFUSED"`. */
  readonly code: string;
  /** The call that failed. */
  readonly operation: Operation;
  /** The address it was about, as far as known. */
  readonly address: ErrorAddress | undefined;
  /**
   * Whether the connection or listener can still be used: `true` when the kernel refused an option, when
   * `startTls` refused a connection that is busy or has TLS already, and when an `accept` failed for a
   * reason that may pass (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`, `ECONNABORTED`). `false` for every error
   * that ended it, or kept it from being opened.
   */
  readonly connectionUsable: boolean;

  /**
   * Of a failed `connect` to a name: one error for each of its addresses, in the order in which they
   * failed, with `address` and `elapsed`. Empty otherwise.
   */
  readonly errors: readonly SocketError[];
  /** Of one of `errors`: time from the start of that attempt to its end, in ms. */
  readonly elapsed: number | undefined;

  /** Made by this library; construct one only to test how your code handles it. */
  constructor(options: SocketErrorOptions) {
    const { code, operation, address, cause, detail, errors = [], elapsed } = options;
    super(
      `Cannot ${operation}${formatAddress(operation, address)}: ${
        detail || (meanings[code] ?? "the system said no")
      } (${code})`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.errors = Object.freeze([...errors]);
    this.elapsed = elapsed;
    this.operation = operation;
    this.address = copyOf(address);
    this.connectionUsable = options.connectionUsable ??
      (operation === "accept"
        ? temporaryCodes.has(code)
        : settings.has(operation) && code !== "EBADF" && code !== "ENOTCONN");
  }
}

/**
 * The kernel gave the peer up, since keepalive, the user timeout or `deadPeerTimeout` ran out, or the
 * network reported the peer as unreachable. The connection is gone. It is never the error of a call that
 * took too long, which is a {@linkcode TimeoutError}.
 *
 * @example Reconnect only when the peer is gone
 * ```ts
 * import { DeadPeerError } from "@holdfast/tcp";
 *
 * const error = new DeadPeerError({ code: "ETIMEDOUT", operation: "read" });
 * console.log(error instanceof DeadPeerError, error.code); // true ETIMEDOUT
 * ```
 */
export class DeadPeerError extends SocketError {
  /** `"DeadPeerError"`. */
  override readonly name: string = "DeadPeerError";
}

/** Arguments of the constructor of {@linkcode UnsupportedOptionError}. */
export type UnsupportedOptionErrorOptions =
  & Pick<UnsupportedOptionError, "option" | "runtime" | "system" | "reason">
  & Partial<Pick<UnsupportedOptionError, "remedy">>;

/**
 * This runtime on this system cannot set (or read) an option. The error is thrown before anything is
 * dialled, bound or changed, so that such an option is never ignored. `remedy` says what would help,
 * such as `--allow-ffi` or installing `koffi`.
 *
 * @example Drop what cannot be set
 * ```ts
 * import { onlySupported } from "@holdfast/tcp";
 *
 * console.log(onlySupported({ noDelay: true })); // { noDelay: true }
 * ```
 */
export class UnsupportedOptionError extends Error {
  /** `"UnsupportedOptionError"`. */
  override readonly name = "UnsupportedOptionError";
  /** The option that cannot be set or read. */
  readonly option: string;
  /** Runtime and version, such as `"node 20.20.2"`. */
  readonly runtime: string;
  /** Operating system, such as `"linux"`. */
  readonly system: string;
  /** Why not. */
  readonly reason: string;
  /** What would help, if anything. */
  readonly remedy: string | undefined;
  /** Always `true`: nothing was changed, so a connection that was open can still be used. */
  readonly connectionUsable = true;

  /** Made by this library; construct one only to test how your code handles it. */
  constructor(options: UnsupportedOptionErrorOptions) {
    const { option, runtime, system, reason, remedy } = options;
    super(
      `Cannot use '${option}' in ${runtime} on ${system}: ${reason}${remedy ? `; ${remedy}` : ""}`,
    );
    this.option = option;
    this.runtime = runtime;
    this.system = system;
    this.reason = reason;
    this.remedy = remedy;
  }
}

brand(TimeoutError, "TimeoutError");
brand(SocketError, "SocketError");
brand(DeadPeerError, "DeadPeerError");
brand(UnsupportedOptionError, "UnsupportedOptionError");

/** Copies what an error shows of an address, so that the error does not share an object with a socket. */
function copyOf(address: ErrorAddress | undefined): ErrorAddress | undefined {
  if (address === undefined) return undefined;
  const { hostname, port, path } = address;
  return Object.freeze((path === undefined ? { hostname, port } : { path }) as ErrorAddress);
}

/** Errors of an `accept` that may not happen to the next one. */
export const temporaryCodes: ReadonlySet<string> = new Set([
  ...["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED"],
]);

/** Calls about options. When one fails, the socket is as it was. */
const settings = new Set<Operation>(["setsockopt", "getsockopt"]);

const meanings: Record<string, string> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "no such address on this machine",
  EAFNOSUPPORT: "the address is of another family",
  EAI_AGAIN: "the name server does not answer",
  EBADF: "the socket is closed",
  ECANCELED: "the socket was closed meanwhile",
  ECONNABORTED: "connection aborted",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EHOSTUNREACH: "no route to host",
  EHOSTDOWN: "the host is down",
  EINVAL: "invalid argument",
  EMFILE: "too many open files",
  ENETDOWN: "the network is down",
  ENETUNREACH: "network unreachable",
  ENFILE: "too many open files in the system",
  ENODEV: "no such network interface",
  ENOENT: "there is no such thing",
  ENOTCONN: "the socket is not connected",
  ENOTFOUND: "host name not found",
  EPERM: "operation not permitted",
  EPIPE: "the sending side is closed",
  EPROTO: "the peer breaks the protocol",
  ETIMEDOUT: "the kernel gave the peer up",
};

/** Calls that end when the socket is closed. */
const waits = new Set<Operation>(["accept", "read", "write"]);

/** The codes of an established connection that the kernel has given up. */
const deadPeerCodes = new Set(["ETIMEDOUT", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH"]);

/**
 * Converts a runtime's error to one of ours. Errors of ours are returned as they are. When the kernel has
 * given up an established connection (read, write), the result is a {@linkcode DeadPeerError}.
 */
export function toSocketError(
  cause: unknown,
  operation: Operation,
  address?: ErrorAddress,
): Error {
  if (
    cause instanceof SocketError || cause instanceof TimeoutError ||
    cause instanceof UnsupportedOptionError
  ) return cause;
  const found = codeOf(cause);
  // Our own `close` rejects pending calls itself, so here the program has closed `native`.
  const code = found === "EBADF" && waits.has(operation) ? "ECANCELED" : found;
  // An error without a code is a bug or a missing permission, and is best shown as it is.
  if (code === undefined && cause instanceof Error) return cause;
  const established = operation === "read" || operation === "write";
  const Class = established && deadPeerCodes.has(code ?? "") ? DeadPeerError : SocketError;
  if (cause instanceof Refusal) {
    const { message: detail, cause: below } = cause;
    return new Class({ code: code!, operation, address, cause: below, detail });
  }
  const detail = isTlsError(cause) ? tlsDetail(code!, (cause as Error).message) : undefined;
  return new Class({ code: code ?? "EIO", operation, address, cause, detail });
}

/** The POSIX codes of classes of `Deno.errors`, for errors without a `code`. */
const denoNames: Record<string, string> = {
  AddrInUse: "EADDRINUSE",
  AddrNotAvailable: "EADDRNOTAVAIL",
  BadResource: "EBADF",
  BrokenPipe: "EPIPE",
  ConnectionAborted: "ECONNABORTED",
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  HostUnreachable: "EHOSTUNREACH",
  NetworkUnreachable: "ENETUNREACH",
  NotConnected: "ENOTCONN",
  PermissionDenied: "EACCES",
  TimedOut: "ETIMEDOUT",
};

function isTlsError(cause: unknown): boolean {
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === "string" && tlsCode(code) !== undefined;
}

function codeOf(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null) return undefined;
  if (cause instanceof Refusal) return cause.code;
  const { code, name, message } = cause as { code?: unknown; name?: string; message?: string };
  // Bun's net.Socket says this of a write when the peer has gone and it has not reported that yet.
  if (code === "ERR_SOCKET_CLOSED") return "EPIPE";
  // When the socket is closed, Deno ends a pending call with this error, whose code is EINTR:
  // https://github.com/denoland/deno/blob/v2.9.6/libs/core/async_cancel.rs
  if (name === "Interrupted") return "ECANCELED";
  const known = typeof code === "string" ? tlsCode(code) : undefined;
  if (known !== undefined) return known;
  if (typeof code === "string" && /^E[A-Z0-9_]+$/.test(code) && !code.startsWith("ERR_")) {
    // Bun says this when it cannot ask, such as without a free descriptor.
    if (code === "ESERVFAIL") return "EAI_AGAIN";
    // Node.js 20 and 22 look up "xn--a", which is no valid international name, with this error.
    const noName = code === "EINVAL" && (cause as { syscall?: unknown }).syscall === "getaddrinfo";
    return noName || code === "EAI_NONAME" || code === "EAI_NODATA" ? "ENOTFOUND" : code;
  }
  if (message?.startsWith("failed to lookup address information")) {
    return message.includes("Temporary failure") ? "EAI_AGAIN" : "ENOTFOUND";
  }
  // Deno has no class for this error.
  const [, errno] = /\(os error (\d+)\)$/.exec(message ?? "") ?? [];
  if (errno !== undefined) return errnoName(Number(errno));
  return name === undefined ? undefined : denoNames[name];
}

function formatAddress(operation: Operation, address: ErrorAddress | undefined): string {
  if (address === undefined) return "";
  const { hostname, port } = address;
  const path = address.path?.replaceAll("\0", "@");
  const host = hostname?.includes(":") ? `[${hostname}]` : hostname;
  const where = path ?? `${host}:${port}`;
  return where === "" ? "" : ` ${prepositions[operation] ?? "to"} ${where}`;
}

const prepositions: Partial<Record<Operation, string>> = {
  ...{ read: "from", accept: "on", listen: "on", drain: "on" },
  ...{ setsockopt: "for", getsockopt: "for", idle: "for" },
};

/**
 * Gives an error that was made in a timer or an event the stack of the code that waits for it. The engine
 * knows that code only while a promise's reaction runs, so this has to be called from one:
 * https://v8.dev/docs/stack-trace-api#async-stack-traces
 */
export function retraced(error: unknown): unknown {
  if (error instanceof TimeoutError || error instanceof SocketError) {
    const { captureStackTrace } = Error as {
      captureStackTrace?(error: Error, above: unknown): void;
    };
    // JavaScriptCore, whose errors have a line, knows that code for some functions only; then the old stack
    // says more. V8 is not asked, as it would build the text, which takes Deno 100 us.
    const stack = "line" in error ? error.stack : undefined;
    captureStackTrace?.(error, retraced);
    if (stack !== undefined && !error.stack?.includes("\n    at async ")) error.stack = stack;
  }
  return error;
}
