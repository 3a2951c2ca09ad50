/**
 * What a runtime has to offer, so that the portable core can keep its contract.
 * Types only. One object fulfils {@linkcode Adapter} per runtime.
 *
 * @module
 */

import type { NetAddr } from "./kernel/address.ts";
import type { BeforeHandshake, Source } from "./kernel/handshake.ts";
import type { Kernel, KernelAccess } from "./kernel/kernel.ts";
import type { ListenPlan } from "./kernel/listening.ts";
import type { TlsInformation } from "./tls/information.ts";
import type { TlsPlan } from "./tls/options.ts";

/** The receiving half of a connection, as its transport sees it. */
export interface Incoming {
  /**
   * Bytes arrived. A `lent` chunk is the transport's memory and is valid during this call only;
   * any other chunk belongs to the receiver from now on.
   */
  data(chunk: Uint8Array, lent: boolean): void;
  /** The peer's FIN arrived, after all data. */
  end(): void;
  /** The connection is gone; `cause` is the runtime's own error. Data already given stays valid. */
  failed(cause: unknown): void;
}

/** The sending half of a connection, as its transport sees it. */
export interface Outgoing {
  /** All that `write` took has reached the kernel: `writing` is false now. */
  drained(): void;
  /** So many bytes that `write` took are lost by `close`, and the peer cannot be told. */
  dropped?(bytes: number): void;
  /** The connection is gone; `cause` is the runtime's own error. */
  failed(cause: unknown): void;
}

/**
 * One open connection. No clock, no queue, no promise on the fast path: those are the core's.
 * After `close` or `reset` a transport calls nobody any more.
 */
export interface Transport {
  /** The runtime's own socket. */
  readonly native: object;
  /** The runtime's TCP socket, where `native` only knows the way to it. */
  readonly below?: object | undefined;
  readonly localAddr: NetAddr;
  readonly remoteAddr: NetAddr;
  /** What the TLS handshake has settled; `undefined` without TLS. */
  readonly tls?: TlsInformation | undefined;
  /** Called once, before anything else; data, end and failure go to these from now on. */
  start(incoming: Incoming, outgoing: Outgoing): void;
  /**
   * Data is wanted: at least one call to `incoming` follows. `size` is the room the reader has.
   * Asking again while an answer is outstanding changes nothing.
   */
  pull(size: number): void;
  /**
   * Fills `into` with what has arrived and was not given yet, without waiting. Answers how many bytes: 0
   * when there are none, or when it cannot tell. Called only while no data is wanted. A failure goes to
   * `incoming` and `outgoing`.
   */
  receive?(into: Uint8Array): number;
  /** Enough for now: soon no more `data`, so that TCP's own flow control stops the sender. */
  pause(): void;
  /**
   * Takes a part of `data`, from its start, and answers how many bytes: these are now the
   * transport's to send, in order. Called only while `writing` is false. Taking less than all sets
   * `writing`. The caller may reuse `data` at once: what has not reached the kernel was copied.
   * A failure goes to `outgoing.failed` (now or later), not to the caller.
   */
  write(data: Uint8Array): number;
  /** True while bytes that `write` took are not all in the kernel; `outgoing.drained` ends it. */
  readonly writing: boolean;
  /** Sends FIN; reading goes on. Called only while `writing` is false. */
  closeWrite(): void | Promise<void>;
  /** Somebody else has hold of `native` from now on, and may close it at any time. */
  expose?(): void;
  /** The kernel has no connection any more: both sides have finished, or one has reset. */
  isGone(): boolean;
  /**
   * What becomes of bytes that `write` took and that may have reached the kernel without anybody having
   * been told. Asked right before `close`: resolves once that is known, and rejects with the runtime's
   * error when they have not.
   */
  flushed?(): Promise<void> | undefined;
  /**
   * Closes the descriptor. What the kernel has is still delivered, unless something is cut off: with
   * `cut`, or when `writing` bytes are lost. The peer must not take the rest for the whole then, so it
   * gets RST where the runtime can send one. Idempotent.
   */
  close(cut?: boolean): void;
  /**
   * Closes with RST: the peer reads ECONNRESET. Idempotent. `kernel` returns the system calls, or throws
   * UnsupportedOptionError; it is called only where the runtime cannot do it alone.
   */
  reset(kernel: () => Kernel): void;
  /** Called once: the socket alone does not keep the process alive any more. */
  unref(): void;
}

/** Addresses of a connection that need not be asked for. */
export interface KnownEnds {
  readonly local?: NetAddr | undefined;
  readonly remote?: NetAddr | undefined;
}

/** One open listening socket. After `close` it calls nobody any more. */
export interface ListenerTransport {
  /** The runtime's own listener. */
  readonly native: object;
  readonly addr: NetAddr;
  /** Called once, before anything else. */
  start(incoming: IncomingConnections): void;
  /** A connection is wanted: at least one call to `incoming` follows, sooner or later. */
  pull(): void;
  /** TLS handshakes that run, and those that have failed. */
  readonly handshakes?: { readonly running: number; readonly failed: number };
  /** No more connections; TLS handshakes that run go on. */
  stop?(): void;
  close(): void;
  /** Called once: the socket alone does not keep the process alive any more. */
  unref(): void;
}

/** Where a listener's connections go. */
export interface IncomingConnections {
  /** As many connections wait as may wait: a transport that can do without the next one shall. */
  readonly full: boolean;
  accepted(transport: Transport): void;
  failed(cause: unknown): void;
}

/** An attempt to connect, or to agree on TLS, that can be called off. */
export interface Attempt<Result = Transport> {
  /** Rejects with the runtime's own error. */
  readonly opened: Promise<Result>;
  /** What it waits for, where that is not the TCP handshake. */
  readonly waitsFor?: string | undefined;
  /**
   * Ends the attempt: whatever it opened is closed, also in SYN-SENT. `opened` rejects, with
   * anything, or stays pending. Idempotent; without effect once `opened` has resolved.
   */
  abort(): void;
  /** The descriptor that is connecting right now, where it is known for certain. */
  fd?(): number | undefined;
}

/** Where to connect to. */
export interface Target {
  /** Name or IP literal, without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Such a target is dialled by system calls, which the caller knows to be there. */
  readonly before?: BeforeHandshake | undefined;
  /** Where the connection comes from; given only to an adapter that `dialsFrom`, without `before`. */
  readonly source?: Source | undefined;
}

/** Reach for the options of one socket, ours or the runtime's. */
export interface Handle {
  readonly kind: "connection" | "listener";
  /**
   * The descriptor, verified to be this very socket.
   * @throws SocketError `EBADF` when closed, TypeError when it is no TCP socket,
   * UnsupportedOptionError when the runtime gives no way to it.
   */
  fd(): number;
  /** The runtime's own setters, where it has them for this socket. They throw the runtime's error. */
  readonly setNoDelay?: (on: boolean) => void;
  /** Switches keepalive and nothing else. */
  readonly setKeepAlive?: (on: boolean) => void;
  /** Switches keepalive on with an idle time in seconds; interval and count are the runtime's choice. */
  readonly setKeepAliveIdle?: ((idle: number) => void) | undefined;
  /** Switches keepalive on with all three values set. Seconds, seconds, number; whole and valid. */
  readonly tuneKeepAlive?:
    | ((idle: number, interval: number, count: number) => void)
    | undefined;
}

/** The runtime's own setters as data, for `capabilities()`: which {@linkcode Handle} methods exist. */
export interface NativeSetters {
  readonly setNoDelay: boolean;
  readonly setKeepAlive: boolean;
  readonly setKeepAliveIdle: boolean;
  readonly tuneKeepAlive: boolean;
  /** The versions of this runtime from which `tuneKeepAlive` exists, for the error that misses it. */
  readonly tuneKeepAliveFrom?: string | undefined;
  /** Whether `Transport.reset` needs no {@linkcode Kernel}. */
  readonly reset: boolean;
}

/** What one runtime fulfils. */
export interface Adapter {
  /** Whether a byte stream's `enqueue` works after a look at its `byobRequest`. */
  readonly enqueuesBesideByob: boolean;
  readonly runtime: "deno" | "bun" | "node";
  natives(): NativeSetters;
  /** Whether `connect` takes a source address and port without system calls. */
  readonly dialsFrom: boolean;
  /**
   * The system calls, loaded at the first use and kept. Never prompts: under Deno without
   * `--allow-ffi` it returns why there are none. With `quiet` it loads nothing that prints a warning.
   */
  loadKernel(quiet?: boolean): KernelAccess;
  /** Dials every address of the name as RFC 8305 says; first one wins, the rest is closed. */
  connect(target: Target): Attempt;
  /**
   * Agrees on TLS over an open connection, which is nobody else's from now on. Whatever goes wrong, or
   * when it is called off, that connection is closed.
   *
   * @throws SocketError `EPROTO` when bytes have arrived that nobody has read.
   */
  secure(transport: Transport, plan: TlsPlan): Attempt;
  /** Rejects with the runtime's own error. Called only with what it can do: see `beyondListen`. */
  listen(plan: ListenPlan): Promise<ListenerTransport>;
  /**
   * The option of `plan` that the runtime's own `listen` cannot set, so that it takes
   * {@linkcode Kernel}; `undefined` when it can set them all.
   */
  beyondListen(plan: ListenPlan): keyof ListenPlan | undefined;
  /** An open native socket as a transport, or `undefined` when it is none of this runtime's. */
  adopt(native: object): Transport | undefined;
  /**
   * The handle of a native socket or listener, or `undefined` when it is none of this runtime's. It
   * looks at every use whether the socket is open, is TCP and is the one that was meant.
   */
  handle(native: object): Handle | undefined;
  /**
   * The handle of the `native` of a transport that this adapter has opened just now, for use before
   * anybody else can close it: it need not look.
   */
  openedHandle(native: object): Handle;
  /** The names in a directory, or throws when they cannot be had. Never prompts. */
  list(path: string): string[];
}
