/** The two halves of a connection as web streams. */

import type { Bytes } from "../memory.ts";
import { copyInto } from "../memory.ts";
import { resetOrClose } from "../options/support.ts";
import { adapter } from "../runtime.ts";
import type { Call } from "../time/calls.ts";
import type { Reader } from "./reader.ts";
import { checkData } from "../options/validate.ts";
import type { Writer } from "./writer.ts";

/** The connection of the streams, which they close at the end. */
export interface StreamOwner {
  close(): void;
  reset(): void;
}

/** Both streams of one connection. Each is made when it is first used. */
export class Streams {
  readonly #owner: StreamOwner;
  readonly #reader: Reader;
  readonly #writer: Writer;
  #readable: ReadableStream<Bytes> | undefined = undefined;
  #writable: WritableStream<Uint8Array> | undefined = undefined;
  /** Has an entry for each stream that is over: `true` if it came to its end, `false` if it failed. */
  readonly #done: { readable?: boolean; writable?: boolean } = {};

  constructor(owner: StreamOwner, reader: Reader, writer: Writer) {
    this.#owner = owner;
    this.#reader = reader;
    this.#writer = writer;
  }

  get readable(): ReadableStream<Bytes> {
    return this.#readable ??= this.#makeReadable();
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= this.#makeWritable();
  }

  /** Pulls one chunk at a time, so a slow reader stops the sender. */
  #makeReadable(): ReadableStream<Bytes> {
    const broken = (error: unknown) => {
      this.#over("readable", false);
      throw error;
    };
    const { signal, abort } = cancellation();
    let left = false;
    const stream: ReadableStream<Bytes> = new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        // This is called as soon as bytes are there, so that no other read gets those after them.
        const take = (chunk: Uint8Array): number => {
          // The reader that asked may have left. What the stream keeps, reads of the connection would not get.
          if (!stream.locked) {
            left = true;
            return 0;
          }
          const { length } = chunk;
          // This request may belong to a reader that has left. `enqueue` serves the reader after it.
          const request = left ? null : controller.byobRequest;
          left = false;
          if (request === null) {
            controller.enqueue(chunk as Bytes);
            return length;
          }
          const view = request.view as Uint8Array;
          const size = Math.min(view.length, length);
          if (adapter().enqueuesBesideByob) controller.enqueue(chunk.slice(0, size) as Bytes);
          else request.respond(copyInto(chunk, 0, view));
          return size;
        };
        const size = await this.#reader.readChunk(take, { signal }).catch(broken);
        if (size !== null) return;
        controller.close();
        // A pending BYOB read ends only when `respond` is called.
        controller.byobRequest?.respond(0);
        this.#over("readable", true);
      },
      cancel: () => {
        // A read that still waits would take bytes from the connection and lose them.
        abort();
        this.#over("readable", true);
      },
    });
    return stream;
  }

  /** Takes one chunk at a time; closing sends FIN, aborting resets. */
  #makeWritable(): WritableStream<Uint8Array> {
    const abandon = () => this.#abandon();
    // After a failed write, a stream calls neither `abort` nor `close`.
    const broken = (error: unknown) => {
      this.#over("writable", false);
      throw error;
    };
    return new WritableStream({
      // `abort` below is called only after the current write, which this ends.
      start: ({ signal }) => signal.addEventListener("abort", abandon),
      write: (chunk) => send(this.#writer, chunk).catch(broken),
      close: async () => {
        await this.#writer.closeWrite().catch(broken);
        this.#over("writable", true);
      },
      abort: abandon,
    });
  }

  #over(half: "readable" | "writable", whole: boolean): void {
    const done = this.#done;
    done[half] ??= whole;
    if (done.readable === undefined || done.writable === undefined) return;
    if (done.writable) this.#owner.close();
    else this.#abandon();
  }

  /** Ends the connection so that what was sent does not look complete. */
  #abandon(): void {
    resetOrClose(this.#owner);
  }
}

/**
 * Stands for an AbortController, for one call at a time. To add a listener to a real signal and remove it for
 * every chunk took Node.js a third of the time of reading.
 */
function cancellation(): { signal: AbortSignal; abort(): void } {
  let waiting: Call<unknown> | undefined;
  const signal = {
    aborted: false,
    reason: undefined,
    addEventListener(_type: string, call: unknown) {
      waiting = call as Call<unknown>;
    },
    removeEventListener() {
      waiting = undefined;
    },
  };
  return {
    signal: signal as Partial<AbortSignal> as AbortSignal,
    abort() {
      signal.aborted = true;
      waiting?.handleEvent();
    },
  };
}

/** Writes a chunk after checking it, since a stream accepts any value. */
async function send(writer: Writer, chunk: unknown): Promise<void> {
  await writer.write(checkData(chunk, "write", "chunk"), undefined);
}
