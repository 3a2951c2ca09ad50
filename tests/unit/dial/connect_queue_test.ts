import { test } from "node:test";
import { assertEquals } from "@std/assert";
import type { Attempt, Transport } from "../../../src/adapter.ts";
import { ConnectQueue } from "../../../src/dial/connect_queue.ts";
import { sleep } from "../../contract/support.ts";

/** An attempt that a test ends. */
class Manual implements Attempt {
  readonly opened: Promise<Transport>;
  aborted = false;
  fail!: (cause: unknown) => void;

  constructor() {
    this.opened = new Promise((_, reject) => this.fail = reject);
    this.opened.catch(() => {});
  }

  fd(): number {
    return 7;
  }

  abort(): void {
    this.aborted = true;
  }
}

function start(queue: ConnectQueue, count: number) {
  const started: Manual[] = [];
  const attempts = Array.from({ length: count }, () =>
    queue.enter(() => {
      const attempt = new Manual();
      started.push(attempt);
      return attempt;
    }));
  for (const { opened } of attempts) opened.catch(() => {});
  return { started, attempts };
}

test("a queue starts so many at once, and the next when one is over", async () => {
  const { started, attempts } = start(new ConnectQueue(2), 4);
  assertEquals(started.length, 2);
  assertEquals(attempts[2]!.fd!(), undefined);
  started[0]!.fail(new Error("refused"));
  await started[0]!.opened.catch(() => {});
  await Promise.resolve();
  assertEquals(started.length, 3);
  assertEquals(attempts[2]!.fd!(), 7);
  for (const attempt of attempts) attempt.abort();
  // The fourth attempt was never started.
  assertEquals(started.map(({ aborted }) => aborted), [true, true, true]);
  for (const attempt of started) attempt.fail(new Error("called off"));
  await sleep(100);
  assertEquals(started.length, 3);
});

test("attempts that wait for the network hold nobody up", async () => {
  const { started } = start(new ConnectQueue(2), 5);
  await sleep(1_000);
  assertEquals(started.length, 5);
});

test("what the start of a waiting attempt throws is its failure", async () => {
  const queue = new ConnectQueue(1);
  const { started } = start(queue, 1);
  const waiting = queue.enter(() => {
    throw new Error("no descriptor");
  });
  started[0]!.fail(new Error("refused"));
  const error = await waiting.opened.catch((error: Error) => error.message);
  assertEquals(error, "no descriptor");
});
