/** Ends a connection so that nothing that was written is lost. */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { systemError } from "../kernel/system_error.ts";
import { layoutObstacle, readTcpInfo } from "../kernel/tcp_info.ts";
import { SHUT_WR, takeError } from "../kernel/tcp_socket.ts";
import { adapter } from "../runtime.ts";
import type { CallOptions } from "../time/calls.ts";
import { Deadline } from "../time/deadline.ts";
import { sleep } from "../time/native_timers.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** The kernel is asked again after at most this time, ms. */
const longestPause = 50;

/**
 * Sends FIN after all writes, discards what arrives until the peer's FIN, and waits until the peer's
 * kernel has acknowledged everything, if this side's kernel can be asked. The limits are for all of it.
 */
export async function finish(
  handle: Handle,
  reader: Reader,
  writer: Writer,
  limits: CallOptions = {},
): Promise<void> {
  const options = oneDeadline(limits, writer.timeout);
  const sight = keepSight(handle);
  try {
    await writer.closeWrite(options);
    do {
      // It may have been closed between two of these calls.
      if (reader.closed) throw reader.refused("ECANCELED");
    } while (await reader.readChunk(discard, options) !== null);
    if (sight !== undefined) await acknowledged(sight, handle, reader, writer, options);
    if (writer.lost !== undefined) throw writer.lost;
  } finally {
    sight?.kernel.close(sight.fd);
  }
}

function discard(chunk: Uint8Array): number {
  return chunk.length;
}

function oneDeadline(limits: CallOptions, otherwise: number | null): CallOptions {
  const { timeout = otherwise, signal } = limits;
  let { deadline } = limits;
  if (timeout !== null && (deadline === undefined || timeout < deadline.remaining)) {
    deadline = Deadline.after(timeout);
  }
  return { timeout: null, deadline, signal };
}

interface Sight {
  readonly kernel: Kernel;
  readonly fd: number;
}

/** Duplicates the descriptor, since some runtimes close theirs when both sides have finished. */
function keepSight(handle: Handle): Sight | undefined {
  const { kernel } = adapter().loadKernel();
  if (kernel === undefined || layoutObstacle() !== undefined) return undefined;
  try {
    const fd = kernel.dup(handle.fd());
    return fd < 0 ? undefined : { kernel, fd };
  } catch {
    // The connection is gone already, and reading or writing will fail.
    return undefined;
  }
}

/**
 * Waits until the peer has acknowledged everything, as its FIN may have come before it had everything. In
 * the states named here our FIN is not acknowledged. A connection that leaves them by a reset, or because
 * the kernel gave up, has a pending error, which no other call will report any more.
 */
async function acknowledged(
  { kernel, fd }: Sight,
  handle: Handle,
  reader: Reader,
  writer: Writer,
  options: CallOptions,
): Promise<void> {
  for (let pause = 1;; pause = Math.min(2 * pause, longestPause)) {
    const info = readTcpInfo(kernel, fd);
    if (typeof info === "number") return;
    if (!["CLOSE-WAIT", "LAST-ACK", "CLOSING", "FIN-WAIT-1"].includes(info.state)) break;
    if (reader.closed) throw reader.refused("ECANCELED");
    // Deno has closed a TLS socket of another library, and with this duplicate left, that sent no FIN.
    if (info.state === "CLOSE-WAIT" && isClosed(handle)) kernel.shutdown(fd, SHUT_WR);
    // The watch has found the peer to be gone.
    if (writer.lost !== undefined) return;
    const refusal = reader.refusal(options);
    if (refusal !== undefined) throw refusal.reason;
    await sleep(pause);
  }
  const error = takeError(kernel, fd);
  if (error < 0) writer.failed(systemError(error, "write"));
}

/** Whether the runtime has closed its own descriptor. */
function isClosed(handle: Handle): boolean {
  try {
    handle.fd();
    return false;
  } catch {
    return true;
  }
}
