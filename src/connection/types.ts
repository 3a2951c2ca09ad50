/** The public type of an open connection. */

import type { NetAddr } from "../kernel/address.ts";
import type { TcpInfo } from "../kernel/tcp_info.ts";
import type { Bytes } from "../memory.ts";
import type { KeepAliveOptions, KernelOptions, SocketOptions, Timeouts } from "../options/types.ts";
import type { CallOptions } from "../time/calls.ts";
import type { TlsInformation } from "../tls/information.ts";

/**
 * A TCP connection with a limit on every call. It has the shape of `Deno.TcpConn` and goes where a
 * `Deno.Conn` goes.
 *
 * A timeout ends the wait and loses no data: a read that timed out has consumed nothing, and a write that
 * timed out says how many bytes the connection has taken and will send.
 *
 * @example Read with a limit, then go on
 * ```ts
 * import { connect, listen, TimeoutError } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
 * using client = await connect({ port: listener.addr.port, timeout: 5_000 });
 * using server = await listener.accept();
 *
 * const buffer = new Uint8Array(64);
 * const late = await client.read(buffer, { timeout: 10 }).catch((error) => error);
 * console.log(late instanceof TimeoutError); // true
 * await server.write(new TextEncoder().encode("still here"));
 * console.log(await client.read(buffer)); // 10
 * ```
 */
export interface TcpConnection {
  /** The runtime's own socket: `Deno.TcpConn`, Bun's socket or `net.Socket`. Do not read from it. */
  readonly native: object;
  /** Address of our end. */
  readonly localAddr: NetAddr;
  /** Address of the peer. */
  readonly remoteAddr: NetAddr;
  /** What the TLS handshake has agreed on; `undefined` without TLS, and after {@linkcode wrap}. */
  readonly tls: TlsInformation | undefined;
  /** Limits of calls without one of their own, in ms; `null` is no limit. `setTimeouts` changes them. */
  readonly timeouts: Readonly<Timeouts>;
  /** Bytes that reads have returned so far. */
  readonly bytesRead: number;
  /**
   * Bytes that the connection has taken to send so far. The difference before and after an aborted write
   * is how many of its bytes were taken.
   */
  readonly bytesWritten: number;
  /**
   * The receiving half as a byte stream, under the read timeout. While nothing is read from it, TCP stops
   * the sender. When both streams have ended or failed, the connection is closed.
   */
  readonly readable: ReadableStream<Bytes>;
  /**
   * The sending half as a stream, under the write timeout. Closing it sends FIN, and aborting it resets the
   * connection. If it has failed, the end of `readable` also resets the connection, so that the peer
   * does not take what it got for everything.
   */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Reads what has arrived, at most `into.length` bytes, and waits when there is nothing. Reads are
   * served in the order of the calls.
   *
   * @param into Where to put the bytes. After a timeout or an abort nothing is written to it any more.
   * @param options Limits of this call, of which the earliest counts. Default: the read timeout.
   * @returns The number of bytes, or `null` when the peer has finished.
   * @throws {TimeoutError} Nothing arrived in time. The next read gets whatever arrives later.
   * @throws {DeadPeerError} The kernel gave the peer up.
   * @throws {SocketError} Such as `ECONNRESET`. `ECANCELED`: the connection was closed meanwhile. `EBADF`:
   * it was closed before.
   */
  read(into: Uint8Array, options?: CallOptions): Promise<number | null>;
  /**
   * Writes all of `data` and resolves to `data.length` once the kernel has it, never to less. The limit is
   * for the whole call. Data is sent in the order of the calls. A write of no bytes waits for those before
   * it, so it may be the rest of one that timed out.
   *
   * @param data May be reused as soon as the promise settles, also after a timeout.
   * @param options Limits of this call, of which the earliest counts. Default: the write timeout.
   * @throws {TimeoutError} The connection has taken the first `bytesWritten` bytes and will send them, so
   * writing `data.subarray(bytesWritten)` continues the stream without gap or repeat.
   * @throws {DeadPeerError} The kernel gave the peer up.
   * @throws {SocketError} Such as `EPIPE`. `ECANCELED`: the connection was closed meanwhile. `EBADF`: it
   * was closed before.
   */
  write(data: Uint8Array, options?: CallOptions): Promise<number>;
  /**
   * Sends FIN after everything written before. Reading goes on (half-open connection).
   * @throws {TimeoutError} The kernel has not taken everything that was written before.
   */
  closeWrite(): Promise<void>;
  /**
   * Closes the connection now. Pending calls reject with {@linkcode SocketError} `ECANCELED`, later ones
   * with `EBADF`. The kernel still delivers what it has, with two exceptions. When a write still waits, or
   * one timed out or was aborted when the kernel had only a part of it, and was not continued, the
   * connection is reset (the peer sees `ECONNRESET`), so that the peer cannot take a part for everything;
   * Deno without `--allow-ffi` sends FIN instead, and subtracts what is lost from `bytesWritten`. When bytes
   * have arrived that were not read, Linux itself resets the connection, and the peer loses what it has not
   * read yet (RFC 2525 section 2.17). Idempotent.
   */
  close(): void;
  /**
   * Ends the connection so that nothing that was written is lost: sends FIN after all writes, discards
   * what arrives until the peer's FIN, waits until the peer's kernel has acknowledged everything, and
   * closes. The limit is for all of it. Where the kernel cannot be asked ({@linkcode capabilities}:
   * `tcpInfo`), the peer's FIN counts as the acknowledgement. RFC 9293 section 3.6.
   *
   * @param options Limits of this call, of which the earliest counts. Default: the write timeout.
   * @throws {TimeoutError} The connection stays open. Call `end` again, or `close` or `reset`.
   * @throws {DeadPeerError} The kernel gave the peer up.
   * @throws {SocketError} Such as `ECONNRESET`. The peer may not have everything, and the connection is
   * closed.
   */
  end(options?: CallOptions): Promise<void>;
  /**
   * Resolves when the connection is closed: to the error that ended it, or to `undefined` after `close`,
   * `end` or `reset`. Never rejects. An error is noticed when a call fails or the runtime reports it. A
   * connection that both sides have finished still has to be closed, except by the end of both streams.
   */
  readonly closed: Promise<Error | undefined>;
  /**
   * Closes with RST, so that the peer reads `ECONNRESET` and no TIME_WAIT is left (RFC 9293 section
   * 3.10.5).
   * @throws {UnsupportedOptionError} It is impossible on this platform. The connection is as it was.
   */
  reset(): void;
  /** Changes the limits of calls that start from now on. A limit that is left out does not change. */
  setTimeouts(timeouts: Partial<Timeouts>): void;
  /** `setOptions` for this connection. */
  setOptions(options: SocketOptions): SocketOptions;
  /** `getOptions` for this connection. */
  getOptions(): KernelOptions;
  /** `tcpInfo` for this connection. */
  tcpInfo(): TcpInfo;
  /** Switches Nagle's algorithm off (`true`, the default) or on. TCP_NODELAY. */
  setNoDelay(noDelay?: boolean): void;
  /** Switches keepalive on (`true`, the default), off, or on with values of your own. SO_KEEPALIVE. */
  setKeepAlive(keepAlive?: boolean | KeepAliveOptions): void;
  /**
   * Lets pending calls keep the process alive (the default). An open connection without a pending
   * `read`, `write` or `closeWrite` does not keep it alive, in any runtime.
   */
  ref(): void;
  /**
   * Lets the process end while calls are pending. In Deno and Node.js, bytes that the kernel has not
   * taken yet may still keep it alive until they are taken or the connection is closed.
   */
  unref(): void;
  /** Same as `close()`. */
  [Symbol.dispose](): void;
  /** Same as `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}
