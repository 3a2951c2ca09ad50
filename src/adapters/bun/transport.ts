/** Makes a transport of Bun's socket. */

import type { Incoming, KnownEnds, Outgoing, Transport } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { addressOf } from "../../kernel/identity.ts";
import { netAddr, nowhere } from "../../kernel/sockaddr.ts";
import { coded, systemError } from "../../kernel/system_error.ts";
import { hasPeer, hasRoom } from "../../kernel/tcp_socket.ts";
import { free } from "../../memory.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import { loadKernel } from "./kernel.ts";
import type { TlsInformation } from "../../tls/information.ts";
import { Early } from "../early.ts";
import { brokenPipe, destroyed, truncation, unread } from "../errors.ts";
import type { BunSocket, Receiver } from "./socket.ts";

/** TLS that this library has started on a socket. */
interface Session {
  readonly tls: TlsInformation;
  /** Whether an end that is reported now is the peer's FIN and not its `close_notify`. */
  readonly cut: boolean;
  /** Called with the number of bytes that were decrypted. */
  passed(size: number): void;
}

/**
 * Bun pushes each chunk as it arrives, in memory of its own. `write` takes as much as the kernel has room
 * for.
 */
export class BunTransport implements Transport, Receiver {
  native: BunSocket;
  localAddr: NetAddr = nowhere;
  remoteAddr: NetAddr = nowhere;
  writing = false;
  #incoming: Incoming = nobody;
  #outgoing: Outgoing = nobody;
  #paused = false;
  #finished = false;
  /** The error of a write, if it also ends reading: after it, Bun reports a normal end. */
  #failedWrite: Error | undefined = undefined;
  readonly #session: Session | undefined;

  constructor(native: BunSocket, session?: Session) {
    this.native = native;
    this.#session = session;
    native.data = this;
  }

  get tls(): TlsInformation | undefined {
    return this.#session?.tls;
  }

  /** Gives up the socket, which TLS takes over, and returns it. */
  release(): BunSocket {
    if (this.#incoming instanceof Early && this.#incoming.any) throw unread();
    this.#incoming = this.#outgoing = nobody;
    this.pull();
    return this.native;
  }

  /** Keeps what happens before `start`, which is not called at once. */
  collect(): this {
    this.#incoming = this.#outgoing = new Early();
    return this;
  }

  /** To be called while the handshake goes on. Its end is reported to `outgoing`, like that of a write. */
  connecting(outgoing: Outgoing): void {
    this.writing = true;
    this.#outgoing = outgoing;
  }

  /**
   * Reads the addresses that are not known yet, since they are lost when the socket is closed. Returns
   * `false` when the peer has reset and its address is gone. The kernel is asked first, since Bun makes two
   * system calls for each address. It must not be called before the handshake is done, as Bun keeps the
   * values of the first access.
   */
  locate({ local, remote }: KnownEnds = {}): boolean {
    const { native } = this;
    const { kernel } = loadKernel();
    remote ??= kernel && addressOf(kernel.getpeername, native.fd);
    if (remote === undefined) {
      const { remotePort } = native;
      if (remotePort === undefined) return false;
      remote = netAddr(native.remoteAddress, remotePort);
    }
    local ??= kernel && addressOf(kernel.getsockname, native.fd);
    this.localAddr = local ?? netAddr(native.localAddress, native.localPort);
    this.remoteAddr = remote;
    return true;
  }

  start(incoming: Incoming, outgoing: Outgoing): void {
    const early = this.#incoming;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    if (early instanceof Early) early.replay(incoming, outgoing);
  }

  pull(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.native.resume();
  }

  pause(): void {
    this.#paused = true;
    this.native.pause();
  }

  write(data: Uint8Array): number {
    const taken = this.native.write(data);
    // After the peer's `close_notify` Bun's TLS takes everything, whether the peer is there or not.
    const lost = this.#session !== undefined && this.#incoming === deaf && this.isGone();
    if (lost) {
      this.#outgoing.failed(brokenPipe());
      return 0;
    }
    if (taken === data.length) return taken;
    if (taken < 0) {
      this.#broken();
      return 0;
    }
    this.writing = true;
    return taken;
  }

  /** Reports the error of the write that has just returned -1. */
  #broken(): Error {
    const cause = writeError();
    // With EPIPE the kernel says that the peer had finished before it reset: that end is a good one.
    if (cause.code !== "EPIPE") this.#failedWrite = cause;
    this.#outgoing.failed(cause);
    return cause;
  }

  async closeWrite(): Promise<void> {
    if (this.#session !== undefined) await this.#room();
    // Bun does not tell that the peer has reset meanwhile, so a write asks the kernel why it has no peer.
    else if (this.isGone() && this.native.write(probe) < 0) throw this.#broken();
    this.#shutdown();
  }

  #shutdown(): void {
    this.#finished = true;
    this.native.shutdown();
  }

  /**
   * Waits until `close_notify` can be sent, for at most `most` ms. Bun sends it once, and forgets it when the
   * kernel has no room. Before it, Bun sends what it has kept of writes, for which it gets a turn.
   */
  async #room(most: number = Infinity): Promise<void> {
    const { native } = this;
    const { kernel } = loadKernel();
    const { setImmediate, setTimeout } = nativeTimers();
    await new Promise<void>((resolve) => void setImmediate(resolve));
    for (let waited = 0, seen = 0; seen < settledTurns && waited < most;) {
      if (kernel === undefined || native.fd < 0) return;
      seen = hasRoom(kernel, native.fd) ? seen + 1 : 0;
      const pause = seen > 0 ? 0 : Math.min(2 + waited / 4, longestPause);
      waited += pause;
      await new Promise<void>((resolve) =>
        void (pause === 0 ? setImmediate(resolve) : setTimeout(resolve, pause))
      );
    }
  }

  isGone(): boolean {
    const { fd } = this.native;
    if (fd < 0) return true;
    // Bun does not notice while the socket is paused, so the kernel is asked.
    const { kernel } = loadKernel();
    return kernel !== undefined && !hasPeer(kernel, fd);
  }

  /**
   * Ends the connection normally if the kernel has everything, else by RST, since the peer must not take
   * what it gets for everything.
   */
  close(cut: boolean = false): void {
    if (cut || this.writing) return this.reset();
    this.#incoming = this.#outgoing = nobody;
    if (this.#session === undefined && this.native.getTLSVersion() === null) {
      return this.native.end();
    }
    // Over TLS, Bun's `end` waits for the peer's `close_notify` without a limit, and `close` alone does not
    // send ours. https://github.com/oven-sh/bun/pull/42352
    const { native } = this;
    void this.#room(settling).then(() => {
      native.shutdown();
      native.close();
    });
  }

  reset(): void {
    this.#incoming = this.#outgoing = nobody;
    this.native.terminate();
  }

  unref(): void {
    this.native.unref();
  }

  copied(chunk: Uint8Array): void {
    free(chunk);
  }

  open(): void {}

  received(chunk: Uint8Array): void {
    this.#session?.passed(chunk.length);
    this.#incoming.data(chunk, false);
  }

  ended(): void {
    const incoming = this.#incoming;
    if (incoming !== deaf && incoming !== nobody && this.#session?.cut) {
      return this.#fail(truncation());
    }
    if (!(incoming instanceof Early)) this.#incoming = deaf;
    if (this.#failedWrite === undefined) incoming.end();
    else incoming.failed(this.#failedWrite);
  }

  writable(): void {
    if (!this.writing) return;
    this.writing = false;
    this.#outgoing.drained();
  }

  closed(cause: unknown): void {
    // We have closed it ourselves.
    if (this.#outgoing === nobody) return;
    if (cause === undefined && (this.#incoming === deaf || this.#finished)) {
      // Both sides have finished. Bun closes the socket then, without calling `end` if we were first.
      this.ended();
      if (!this.#finished) this.#outgoing.failed(brokenPipe());
    } else {
      // Without a cause, it was the program that closed `native`.
      this.#fail(cause ?? destroyed());
    }
  }

  #fail(cause: unknown): void {
    this.#incoming.failed(this.#failedWrite ?? cause);
    this.#outgoing.failed(cause);
  }
}

const nobody: Incoming & Outgoing = { data() {}, end() {}, failed() {}, drained() {} };

const probe = new Uint8Array(1);

/** Gets the events after the end, which do not matter. */
const deaf: Incoming = { data() {}, end() {}, failed() {} };

/** The kernel is asked again after at most this time, ms. */
const longestPause = 50;
/**
 * In how many turns in a row the kernel must have had room before `close_notify`: what Bun has kept takes
 * several. With 2 turns, random streams sometimes lost it (tests/contract/random_test.ts), with 10 none did.
 */
const settledTurns = 10;
/** How long `close` waits at most for the kernel to have room, ms. */
const settling = 2_000;

/** The errors of a connection that is gone. */
const fatal = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]);

/**
 * The error of the write that has just returned -1. Bun does not show it, and the kernel reports it only
 * once, but it still is in errno, unless Bun knew already that the connection was gone.
 */
function writeError(): Error & { readonly code: string } {
  const { kernel } = loadKernel();
  const error = kernel && systemError(-kernel.errno(), "write");
  return error && fatal.has(error.code) ? error : coded("ECONNRESET", "write ECONNRESET");
}
