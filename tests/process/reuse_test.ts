/**
 * An entry never changes another socket than its own, however often its descriptor is used again.
 */

import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { getOptions, setOptions, SocketError, sockets } from "@holdfast/tcp";
import { SOCK_STREAM } from "../../src/kernel/sockaddr.ts";
import { sleep } from "../contract/support.ts";
import { notLinux } from "../contract/support_listen.ts";
import { skip } from "../support/skip.ts";
import { systemCalls } from "./calls.ts";

const rounds = 10_000;

test("10,000 times: a number that another socket has by now is EBADF", skip(notLinux), () => {
  const kernel = systemCalls();
  const open = () => kernel.socket(2, SOCK_STREAM, 0);
  let fd = open();
  const [entry] = sockets((entry) => entry.fd === fd);
  const before = getOptions({ fd }).hopLimit;
  for (let i = 0; i < rounds; i++) {
    kernel.close(fd);
    fd = open();
    assertEquals(fd, entry!.fd);
    const error = assertThrows(() => setOptions(entry!, { hopLimit: 33 }), SocketError);
    assertEquals(error.code, "EBADF");
  }
  assertEquals(getOptions({ fd }).hopLimit, before);
  kernel.close(fd);
});

test("10,000 times: a thread that opens and closes meanwhile", skip(notLinux), async () => {
  const worker = new Worker(new URL("programs/reuser.ts", import.meta.url), {
    workerData: { rounds },
  });
  let result: { touched: number; reused: number } | undefined;
  let failure: unknown;
  worker.once("message", (message) => result = message);
  worker.once("error", (error) => failure = error);
  let set = 0;
  let gone = 0;
  while (result === undefined && failure === undefined) {
    for (let i = 0; i < 50; i++) {
      for (const entry of sockets({ localAddress: "127.0.0.3" })) {
        try {
          setOptions(entry, { hopLimit: 33 });
          set++;
        } catch (error) {
          assertInstanceOf(error, SocketError);
          assertEquals(error.code, "EBADF");
          gone++;
        }
      }
    }
    await sleep(0);
  }
  await worker.terminate();
  assertEquals(failure, undefined);
  const { touched, reused } = result!;
  assertEquals(touched, 0, `${touched} sockets of another`);
  // Otherwise the test has shown nothing.
  assert(reused > rounds, `${reused} numbers were given again`);
  assert(set > 100, `${set} were set, ${gone} were gone`);
});
