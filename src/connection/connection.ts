/** An open connection over a transport. */

import type { Bytes } from "../memory.ts";
import type { Handle, Outgoing, Transport } from "../adapter.ts";
import { brand, sharedSet } from "../brand.ts";
import type { NetAddr } from "../kernel/address.ts";
import type { CallOptions } from "../time/calls.ts";
import { finish } from "./end.ts";
import { Idle } from "./idle.ts";
import { Watch } from "./watch.ts";
import type { KeepAliveOptions, KernelOptions, SocketOptions, Timeouts } from "../options/types.ts";
import { adapter } from "../runtime.ts";
import type { TcpConnection } from "./types.ts";
import { Reader } from "./reader.ts";
import { SocketError, toSocketError } from "../errors.ts";
import { Member, noteClosed, type Ours } from "../options/ours.ts";
import {
  changeKeepAlive,
  changeOptions,
  getOptions,
  setOptions,
  withHandle,
} from "../options/any_socket.ts";
import { Streams } from "./streams.ts";
import type { TcpInfo } from "../kernel/tcp_info.ts";
import { kernelFor } from "../options/support.ts";
import { tcpInfo } from "../options/tcp_info.ts";
import { lingering, lingerOf, lingerOff } from "../kernel/tcp_socket.ts";
import type { TlsInformation } from "../tls/information.ts";
import { Settling } from "../time/settling.ts";
import { type TimerQueue, timers as sharedTimers } from "../time/timers.ts";
import { checkCall, checkData, checkTimeouts } from "../options/validate.ts";
import { Writer } from "./writer.ts";

/** Runtimes' sockets that have a connection, in any copy of this module: a second one would lose bytes. */
export const taken: WeakSet<object> = sharedSet("taken");

/** Why TLS cannot be started. */
const refusals: Record<string, string> = {
  EPROTO: "bytes arrived before TLS began, and nobody has read them",
  EBUSY: "a call is under way",
  TLS: "the connection has TLS already",
};

/** The implementation of {@linkcode TcpConnection}. */
export class Connection extends Member implements TcpConnection, Ours, Outgoing {
  readonly #transport: Transport;
  readonly #reader: Reader;
  /** Made when it is first used, as a connection that waits for data may never write. */
  #lazyWriter: Writer | undefined = undefined;
  /** The write timeout as long as there is no writer. */
  readonly #firstTimeout: number | null;
  #streams: Streams | undefined = undefined;
  #handle: Handle | undefined = undefined;
  readonly #peerName: string | undefined;
  /** The listener's list of open connections, which has this one at `#seat` while it is open. */
  #among: Connection[] | undefined = undefined;
  #seat = 0;
  /** Made when `closed` is first read. */
  #closing: Settling<Error | undefined> | undefined = undefined;

  constructor(
    transport: Transport,
    timeouts: Timeouts,
    timers: TimerQueue = sharedTimers,
    deadPeerTimeout?: number,
    peerName?: string,
  ) {
    super();
    this.#transport = transport;
    this.#peerName = peerName;
    this.#reader = new Reader(transport, timeouts.read, timers);
    this.#reader.owner = this;
    this.#firstTimeout = timeouts.write;
    transport.start(this.#reader, this);
    transport.unref();
    this.#limitIdle(timeouts.idle);
    if (deadPeerTimeout === undefined) return;
    const watch = this.#guard(deadPeerTimeout);
    // The last message of the handshake may not be acknowledged yet.
    if (transport.tls !== undefined) watch.wake();
  }

  get #writer(): Writer {
    return this.#lazyWriter ??= this.#makeWriter();
  }

  #makeWriter(): Writer {
    const writer = new Writer(this.#transport, this.#firstTimeout, this.#reader.timers);
    writer.owner = this;
    if (this.isClosed) writer.close();
    return writer;
  }

  /** Called by the transport, as are the next two. */
  drained(): void {
    this.#lazyWriter?.drained();
  }

  dropped(bytes: number): void {
    this.#lazyWriter?.dropped(bytes);
  }

  failed(cause: unknown): void {
    this.#writer.failed(cause);
  }

  #limitIdle(timeout: number | null | undefined): void {
    if (timeout === undefined) return;
    const [reader, writer] = [this.#reader, this.#writer];
    reader.idle?.stop();
    reader.idle = writer.idle = timeout === null
      ? undefined
      : new Idle(timeout, reader, writer, this.inner, reader.timers);
  }

  /** Starts the watch over data in flight, or ends it when `timeout` is `undefined`. */
  watchPeer(timeout: number | undefined): void {
    if (timeout !== undefined) {
      // Data may be in flight already, and the peer gone.
      this.#guard(timeout).hurry();
    } else {
      this.#reader.watch?.undo();
      this.#forgetWatch();
    }
  }

  #guard(timeout: number): Watch {
    const [reader, writer] = [this.#reader, this.#writer];
    writer.watch?.stop();
    const handle = adapter().handle(this.inner)!;
    const lost = (cause: Error) => this.#lost(cause);
    const sending = () => writer.sending;
    const over = () => reader.finished && writer.finished;
    const watch = new Watch(handle, timeout, reader.timers, lost, sending, over);
    if (writer.finished) watch.keep();
    return reader.watch = writer.watch = watch;
  }

  /**
   * Called when the peer is gone. If no read waits, reading goes on, since the kernel may have bytes that
   * were not read yet.
   */
  #lost(cause: Error): void {
    this.#writer.failed(cause);
    if (this.#reader.head === undefined) return;
    this.#reader.failed(cause);
    this.#transport.reset(() => kernelFor("reset"));
  }

  /** Puts the connection into `open` until it is closed or gone. */
  countIn(open: Connection[]): void {
    if (this.isClosed || this.#reader.lost !== undefined) return;
    this.#among = open;
    this.#seat = open.push(this) - 1;
  }

  /** Takes the connection out of the list that it is in, whose last one takes its seat. Returns the list. */
  #countOut(): Connection[] | undefined {
    const open = this.#among;
    if (open === undefined) return undefined;
    this.#among = undefined;
    const last = open.pop()!;
    if (last === this) return open;
    open[this.#seat] = last;
    last.#seat = this.#seat;
    return open;
  }

  /** Called when the transport has failed or was closed. */
  onLost(): void {
    this.#tellClosed();
    this.#countOut();
  }

  /** Replaces this connection by `heir` in its listener's list of open connections. */
  bequeath(heir: Connection | undefined): void {
    const open = this.#countOut();
    if (open !== undefined) heir?.countIn(open);
  }

  get native(): object {
    const { native } = this.#transport;
    taken.add(native);
    this.#transport.expose?.();
    return native;
  }

  get inner(): object {
    return this.#transport.below ?? this.#transport.native;
  }

  get tls(): TlsInformation | undefined {
    return this.#transport.tls;
  }

  /** The name that was dialled, or else the peer's address. */
  get peerName(): string {
    return this.#peerName ?? this.remoteAddr.hostname;
  }

  /** The `deadPeerTimeout` in force, until the connection is closed. */
  get deadPeerTimeout(): number | undefined {
    return this.#reader.watch?.timeout;
  }

  /**
   * Gives the transport and what was not read to the caller, and is closed. With `hello` that may be the
   * beginning of a client's handshake, and else there is nothing.
   *
   * @throws {SocketError} `EBUSY`, `EPIPE`, `EPROTO` for TLS over TLS or after unread bytes, or the error
   * that ended the connection. Only after unread bytes the connection is closed.
   */
  handOver(hello: boolean): { transport: Transport; early: Uint8Array } {
    const refused = this.#reader.notIdle(hello) ?? this.#writer.notIdle();
    if (refused === "EPROTO") this.close();
    if (refused !== undefined || this.tls !== undefined) {
      throw new SocketError({
        code: refused ?? "EPROTO",
        operation: "connect",
        address: this.remoteAddr,
        detail: refusals[refused ?? "TLS"],
        connectionUsable: refused === undefined || refused === "EBUSY",
      });
    }
    const early = this.#reader.takeRest();
    this.#endWatch();
    this.#reader.close();
    this.#writer.close();
    this.#tellClosed();
    noteClosed(this);
    return { transport: this.#transport, early };
  }

  get gone(): boolean {
    return this.#transport.isGone();
  }

  get isClosed(): boolean {
    return this.#reader.closed;
  }

  get closed(): Promise<Error | undefined> {
    if (this.#closing === undefined) {
      this.#closing = new Settling();
      if (this.isClosed || this.#lostBy !== undefined) this.#tellClosed();
    }
    return this.#closing.promise;
  }

  /** The error that ended the connection, if one did. */
  get #lostBy(): Error | undefined {
    return this.#reader.lost ?? this.#lazyWriter?.lost;
  }

  #tellClosed(): void {
    this.#closing?.resolve(this.#lostBy);
  }

  get localAddr(): NetAddr {
    return Object.freeze(this.#transport.localAddr);
  }

  get remoteAddr(): NetAddr {
    return Object.freeze(this.#transport.remoteAddr);
  }

  get timeouts(): Readonly<Timeouts> {
    const { timeout: read, idle } = this.#reader;
    const timeouts = { read, write: this.#writer.timeout };
    return Object.freeze(idle === undefined ? timeouts : { ...timeouts, idle: idle.timeout });
  }

  get bytesRead(): number {
    return this.#reader.bytesRead;
  }

  get bytesWritten(): number {
    return this.#lazyWriter?.bytesWritten ?? 0;
  }

  get readable(): ReadableStream<Bytes> {
    return this.#bothStreams().readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#bothStreams().writable;
  }

  #bothStreams(): Streams {
    return this.#streams ??= new Streams(this, this.#reader, this.#writer);
  }

  read(into: Uint8Array, options?: CallOptions): Promise<number | null> {
    try {
      into = checkData(into, "read", "into");
      if (options !== undefined) options = checkCall(options, "read");
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#reader.read(into, options);
  }

  write(data: Uint8Array, options?: CallOptions): Promise<number> {
    try {
      data = checkData(data, "write", "data");
      if (options !== undefined) options = checkCall(options, "write");
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#writer.write(data, options);
  }

  closeWrite(): Promise<void> {
    return this.#writer.closeWrite();
  }

  close(): void {
    if (this.isClosed) return;
    if (lingering.possible && this.#checkLinger() === 0) return this.reset();
    const writer = this.#lazyWriter;
    const cut = writer?.flush() ?? false;
    this.#reader.watch?.release(!cut && !writer?.waiting, this.tls !== undefined);
    this.#forgetWatch();
    this.#reader.close();
    writer?.close();
    this.#transport.close(cut);
    this.onLost();
    noteClosed(this);
  }

  /**
   * Returns the linger time in s, if it is on. With 0 a runtime still sends FIN first (Deno) or says that a TLS
   * stream is whole. With more, Linux would block the runtime as it closes the socket, and with it the event
   * loop, so it is taken back.
   */
  #checkLinger(): number | undefined {
    const { kernel } = adapter().loadKernel();
    if (kernel === undefined) return undefined;
    try {
      const fd = adapter().handle(this.inner)!.fd();
      const linger = lingerOf(kernel, fd);
      if (linger) lingerOff(kernel, fd);
      return linger;
    } catch {
      // The kernel has ended the connection.
      return undefined;
    }
  }

  async end(options?: CallOptions): Promise<void> {
    if (options !== undefined) options = checkCall(options, "end");
    const { watch } = this.#reader;
    watch?.ending(true);
    try {
      await finish(adapter().handle(this.inner)!, this.#reader, this.#writer, options);
    } catch (error) {
      // After a timeout the connection is as before, except that FIN may have been sent.
      if (error instanceof SocketError) this.close();
      throw error;
    } finally {
      watch?.ending(false);
    }
    this.close();
  }

  #endWatch(): void {
    this.#reader.watch?.stop();
    this.#forgetWatch();
  }

  /** Where there is no watch, there may be no writer. */
  #forgetWatch(): void {
    if (this.#reader.watch !== undefined) this.#reader.watch = this.#writer.watch = undefined;
  }

  reset(): void {
    if (this.isClosed) return;
    try {
      this.#transport.reset(() => kernelFor("reset"));
    } catch (cause) {
      throw toSocketError(cause, "setsockopt", this.remoteAddr);
    }
    this.#endWatch();
    this.#reader.close();
    this.#lazyWriter?.close();
    this.onLost();
    noteClosed(this);
  }

  setTimeouts(timeouts: Partial<Timeouts>): void {
    const { read, write, idle } = checkTimeouts(timeouts);
    this.#limitIdle(idle);
    if (read !== undefined) this.#reader.timeout = read;
    if (write !== undefined) this.#writer.timeout = write;
  }

  setOptions(options: SocketOptions): SocketOptions {
    return setOptions(this, options);
  }

  getOptions(): KernelOptions {
    return getOptions(this);
  }

  tcpInfo(): TcpInfo {
    return tcpInfo(this);
  }

  setNoDelay(noDelay: boolean = true): void {
    changeOptions(this, { noDelay });
  }

  setKeepAlive(keepAlive: boolean | KeepAliveOptions = true): void {
    this.#handle ??= withHandle(this, "set options", (handle) => handle);
    changeKeepAlive(this, this.#handle, keepAlive);
  }

  ref(): void {
    this.#reader.reference(true);
    this.#writer.reference(true);
  }

  unref(): void {
    this.#reader.reference(false);
    this.#writer.reference(false);
  }
}

brand(Connection, "Connection");
