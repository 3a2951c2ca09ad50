/**
 * The two halves of a connection as web streams.
 *
 * @module
 */

import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** What the streams do to the connection they belong to. */
export interface StreamOwner {
  /** One of the streams has come to its end. */
  streamDone(half: "readable" | "writable"): void;
  reset(): void;
  close(): void;
}

/** Pulls one chunk at a time, so a slow reader stops the sender. */
export function readableStream(reader: Reader, owner: StreamOwner): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const chunk = await reader.readChunk();
      if (chunk !== null) return controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
      controller.close();
      // A pending BYOB read ends only when it is answered.
      controller.byobRequest?.respond(0);
      owner.streamDone("readable");
    },
    cancel: () => owner.streamDone("readable"),
  });
}

/** Takes one chunk at a time; closing sends FIN, aborting resets. */
export function writableStream(writer: Writer, owner: StreamOwner): WritableStream<Uint8Array> {
  // A truncated stream must not look like a whole one: RST, where that can be sent.
  const abandon = () => {
    try {
      owner.reset();
    } catch {
      owner.close();
    }
  };
  return new WritableStream({
    // `abort` below is called only when the write in flight has ended; this ends it.
    start: ({ signal }) => signal.addEventListener("abort", abandon),
    async write(chunk) {
      await writer.write(chunk, undefined);
    },
    async close() {
      await writer.closeWrite();
      owner.streamDone("writable");
    },
    abort: abandon,
  });
}
