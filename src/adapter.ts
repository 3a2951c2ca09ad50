/**
 * The types of what each runtime has to offer to the portable core. One object per runtime implements
 * {@linkcode Adapter}.
 */

import type { NetAddr } from "./kernel/address.ts";
import type { BeforeHandshake, Source } from "./kernel/handshake.ts";
import type { Kernel, KernelAccess } from "./kernel/kernel.ts";
import type { ListenPlan } from "./kernel/listening.ts";
import type { TlsInformation } from "./tls/information.ts";
import type { TlsPlan } from "./tls/options.ts";

/** Gets what a transport receives. */
export interface Incoming {
  /**
   * Bytes have arrived. A `lent` chunk is the transport's memory and valid during this call only.
   * Any other chunk belongs to the receiver from now on.
   */
  data(chunk: Uint8Array, lent: boolean): void;
  /** The peer's FIN has arrived, after all data. */
  end(): void;
  /** The connection is gone. `cause` is the runtime's own error. Data passed before stays valid. */
  failed(cause: unknown): void;
}

/** Gets to know what becomes of the bytes that a transport sends. */
export interface Outgoing {
  /** All that `write` took has reached the kernel, so `writing` is false now. */
  drained(): void;
  /** `close` has lost this many bytes that `write` took, and the peer cannot notice. */
  dropped?(bytes: number): void;
  /** The connection is gone. `cause` is the runtime's own error. */
  failed(cause: unknown): void;
}

/**
 * One open connection. Timeouts and queues are the core's business. After `close` or `reset` a transport
 * calls neither `incoming` nor `outgoing` any more.
 */
export interface Transport {
  /** The runtime's own socket. */
  readonly native: object;
  /** The runtime's TCP socket, where `native` is a TLS socket around it. */
  readonly below?: object | undefined;
  readonly localAddr: NetAddr;
  /** The port of `localAddr`, where `localAddr` makes an object that few connections need. */
  readonly localPort?: number;
  readonly remoteAddr: NetAddr;
  /** What the TLS handshake has agreed on; `undefined` without TLS. */
  readonly tls?: TlsInformation | undefined;
  /** Called once, before anything else. Data, end and failure are reported to these from now on. */
  start(incoming: Incoming, outgoing: Outgoing): void;
  /**
   * Asks for data: at least one call to `incoming` follows. `size` is the room that the reader has.
   * Asking again before that call changes nothing.
   */
  pull(size: number): void;
  /**
   * Fills `into` with bytes that have arrived and were not passed on yet, without waiting. Returns how
   * many: 0 when there are none, or it cannot tell. It is called only while no `pull` is open. The end
   * is reported to `incoming`, and a failure to `outgoing` as well.
   */
  receive?(into: Uint8Array): number;
  /** Called with a chunk that was not lent when all its bytes were copied. */
  copied?(chunk: Uint8Array): void;
  /** Ends `data` calls soon, so that TCP's flow control stops the sender. `pull` asks for data again. */
  pause(): void;
  /**
   * Takes bytes from the start of `data` and returns how many. The transport now has to send these, in
   * order. It is called only while `writing` is false, and taking less than all sets `writing`. The
   * caller may reuse `data` at once, since what has not reached the kernel was copied. A failure goes
   * to `outgoing.failed`, now or later, and not to the caller.
   */
  write(data: Uint8Array): number;
  /** True while the kernel does not have all bytes that `write` took. `outgoing.drained` ends it. */
  readonly writing: boolean;
  /** Called right before `close`: `write` has to take data now if only a turn of the event loop is missing. */
  hasten?(): void;
  /** Sends FIN, while reading goes on. Called only while `writing` is false. */
  closeWrite(): void | Promise<void>;
  /** Called when the caller gets `native`, and so may close it at any time from now on. */
  expose?(): void;
  /** Whether the kernel has no connection any more: both sides have finished, or one has reset it. */
  isGone(): boolean;
  /**
   * Called right before `close`, when `write` may have taken bytes that did not reach the kernel. Resolves
   * when they have reached it, and rejects with the runtime's error when they cannot.
   */
  flushed?(): Promise<void> | undefined;
  /**
   * Closes the descriptor. The kernel still delivers what it has. But with `cut`, or when bytes are lost
   * as `writing` was true, the peer must not take what it gets for everything, so RST is sent where the
   * runtime can. Idempotent.
   */
  close(cut?: boolean): void;
  /**
   * Closes with RST, so that the peer reads ECONNRESET. Idempotent. `kernel` returns the system calls or
   * throws UnsupportedOptionError. It is called only where the runtime cannot send RST alone.
   */
  reset(kernel: () => Kernel): void;
  /** Called once: the socket alone does not keep the process alive any more. */
  unref(): void;
  /**
   * Whether a read of the runtime's may keep the process alive now, since a call that does so waits for it.
   * Only where a read that must not costs more.
   */
  hold?(on: boolean): void;
}

/** The addresses of a connection, as far as they are known without asking the kernel. */
export interface KnownEnds {
  readonly local?: NetAddr | undefined;
  readonly remote?: NetAddr | undefined;
}

/** One open listening socket. After `close` it does not call `incoming` any more. */
export interface ListenerTransport {
  /** The runtime's own listener. */
  readonly native: object;
  readonly addr: NetAddr;
  /** Called once, before anything else. */
  start(incoming: IncomingConnections): void;
  /** Asks for a connection: at least one call to `incoming` follows, sooner or later. */
  pull(): void;
  /**
   * Whether an accept of the runtime's may keep the process alive now, since a call that does so waits for
   * it. Only where an accept that must not costs more.
   */
  hold?(on: boolean): void;
  /** TLS handshakes that run, and those that have failed. */
  readonly handshakes?: { readonly running: number; readonly failed: number };
  /** No more connections; TLS handshakes that run go on. */
  stop?(): void;
  close(): void;
  /** Called once: the socket alone does not keep the process alive any more. */
  unref(): void;
}

/** Gets the connections that a listener accepts. */
export interface IncomingConnections {
  /**
   * Whether as many connections wait for `accept` as may. A transport that can leave the next ones to the
   * kernel then does so.
   */
  readonly full: boolean;
  accepted(transport: Transport): void;
  failed(cause: unknown): void;
}

/** An attempt to connect, or a TLS handshake, that can be aborted. */
export interface Attempt<Result = Transport> {
  /** Rejects with the runtime's own error. */
  readonly opened: Promise<Result>;
  /** What the attempt waits for, if not for the TCP handshake. */
  readonly waitsFor?: string | undefined;
  /**
   * Ends the attempt and closes what it opened, also in SYN-SENT. `opened` then rejects with anything or
   * stays pending. Idempotent. Has no effect once `opened` has resolved. If what it opened is closed only
   * when the event loop turns, a promise of that is returned, which does not reject.
   */
  abort(): void | Promise<unknown>;
  /** The descriptor that is connecting right now, if it is known for certain. */
  fd?(): number | undefined;
}

/** Where to connect to. */
export interface Target {
  /** Name or IP literal, without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** With this, the target is dialled by system calls. The caller makes sure that there are any. */
  readonly before?: BeforeHandshake | undefined;
  /** Where to connect from. Given only where the adapter `dialsFrom`, and not beside `before`. */
  readonly source?: Source | undefined;
}

/** Access to the options of one socket, ours or the runtime's. */
export interface Handle {
  readonly kind: "connection" | "listener";
  /**
   * The descriptor, which has been verified to be this very socket.
   * @throws Refusal `EBADF` when closed, TypeError when it is no TCP socket,
   * UnsupportedOptionError when the runtime offers no way to it.
   */
  fd(): number;
  /** The runtime's own setters, where it has them for this socket. They throw the runtime's error. */
  readonly setNoDelay?: (on: boolean) => void;
  /** Switches keepalive and nothing else. */
  readonly setKeepAlive?: (on: boolean) => void;
  /** Switches keepalive on with an idle time in seconds. The runtime chooses interval and count. */
  readonly setKeepAliveIdle?: ((idle: number) => void) | undefined;
  /** Switches keepalive on with all three values: whole seconds, whole seconds, number; all valid. */
  readonly tuneKeepAlive?:
    | ((idle: number, interval: number, count: number) => void)
    | undefined;
}

/** Which setters {@linkcode Handle} has in this runtime, for `capabilities()`. */
export interface NativeSetters {
  readonly setNoDelay: boolean;
  readonly setKeepAlive: boolean;
  readonly setKeepAliveIdle: boolean;
  readonly tuneKeepAlive: boolean;
  /** The versions of this runtime from which on `tuneKeepAlive` exists, for error messages. */
  readonly tuneKeepAliveFrom?: string | undefined;
  /** Whether `Transport.reset` needs no {@linkcode Kernel}. */
  readonly reset: boolean;
}

/** What one runtime offers. */
export interface Adapter {
  /** Whether a byte stream's `enqueue` still works after its `byobRequest` was read. */
  readonly enqueuesBesideByob: boolean;
  natives(): NativeSetters;
  /** Whether `connect` can bind to a source address and port without system calls. */
  readonly dialsFrom: boolean;
  /**
   * The system calls, loaded at the first use and kept, or the reason why there are none. Never prompts,
   * also not under Deno without `--allow-ffi`. With `quiet` it loads nothing that prints a warning.
   */
  loadKernel(quiet?: boolean): KernelAccess;
  /** Dials the addresses of the name as RFC 8305 says. The first to connect wins, the rest are closed. */
  connect(target: Target): Attempt;
  /**
   * Starts TLS over an open connection, which nothing else must use from now on. When the handshake fails
   * or is aborted, the connection is closed.
   *
   * @throws SocketError `EPROTO` when bytes have arrived that were not read.
   */
  secure(transport: Transport, plan: TlsPlan): Attempt;
  /** Rejects with the runtime's own error. Called only with a plan that can be carried out here. */
  listen(plan: ListenPlan): Promise<ListenerTransport>;
  /**
   * The option of `plan` that the runtime's own `listen` cannot set, so that {@linkcode Kernel} is needed;
   * `undefined` when it can set them all.
   */
  beyondListen(plan: ListenPlan): keyof ListenPlan | undefined;
  /** Makes a transport of an open native socket. Returns `undefined` for what is not this runtime's. */
  adopt(native: object): Transport | undefined;
  /**
   * The handle of a native socket or listener, or `undefined` for what is not this runtime's. The handle
   * checks at every use that the socket is open, is TCP, and is still the same one.
   */
  handle(native: object): Handle | undefined;
  /**
   * The handle of a socket that this adapter has just opened, for use before anybody else can close it, so
   * that it need not check anything.
   */
  openedHandle(native: object): Handle;
  /** The names in a directory, or throws when they cannot be had. Never prompts. */
  list(path: string): string[];
}
