/**
 * The two halves of a connection as web streams.
 *
 * @module
 */

import type { Reader } from "./reader.ts";
import { checkData } from "./validate.ts";
import type { Writer } from "./writer.ts";

/** What the streams do to the connection they belong to. */
export interface StreamOwner {
  /** One of the streams has come to its end, or (`whole` is false) broke off before. */
  streamDone(half: "readable" | "writable", whole: boolean): void;
  /** Ends the connection so that what was sent does not look complete. */
  abandon(): void;
}

/** Pulls one chunk at a time, so a slow reader stops the sender. */
export function readableStream(reader: Reader, owner: StreamOwner): ReadableStream<Uint8Array> {
  const broken = (error: unknown) => {
    owner.streamDone("readable", false);
    throw error;
  };
  const canceled = new AbortController();
  const { signal } = canceled;
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const chunk = await reader.readChunk({ signal }).catch(broken);
      if (chunk !== null) return controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
      controller.close();
      // A pending BYOB read ends only when it is answered.
      controller.byobRequest?.respond(0);
      owner.streamDone("readable", true);
    },
    cancel() {
      // A read that waits would take bytes from the connection, which nobody would get.
      canceled.abort();
      owner.streamDone("readable", true);
    },
  });
}

/** Takes one chunk at a time; closing sends FIN, aborting resets. */
export function writableStream(writer: Writer, owner: StreamOwner): WritableStream<Uint8Array> {
  const abandon = () => owner.abandon();
  // Nothing can be written any more, and nobody tells `abort` or `close`.
  const broken = (error: unknown) => {
    owner.streamDone("writable", false);
    throw error;
  };
  return new WritableStream({
    // `abort` below is called only when the write in flight has ended; this ends it.
    start: ({ signal }) => signal.addEventListener("abort", abandon),
    write: (chunk) => send(writer, chunk).catch(broken),
    async close() {
      await writer.closeWrite().catch(broken);
      owner.streamDone("writable", true);
    },
    abort: abandon,
  });
}

/** A stream takes whatever it is given. */
async function send(writer: Writer, chunk: unknown): Promise<void> {
  checkData(chunk, "write", "chunk");
  await writer.write(chunk, undefined);
}
