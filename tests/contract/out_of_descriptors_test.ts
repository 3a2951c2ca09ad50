import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { connect, type TcpConnection } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { patience, spawnRuntime, startRuntime, testFile, within } from "./support.ts";
import { noKernel } from "./support_listen.ts";

/** A shell that limits how many descriptors a program has. */
const limited = ["sh", "-c", 'ulimit -n 80; exec "$@"', "sh"];
const noLimit = process.platform === "win32" ? "needs ulimit, which Windows lacks" : undefined;

/** Runs the program with more clients than it has descriptors for, until it prints its second line. */
async function crowd(...args: string[]) {
  const program = startRuntime(testFile("programs/out_of_descriptors.ts"), args, {
    through: limited,
  });
  const ended = once(program, "exit");
  const lines = createInterface({ input: program.stdout! })[Symbol.asyncIterator]();
  const nextLine = async () => Number((await within(patience, lines.next())).value);
  const clients: TcpConnection[] = [];
  const leave = () => {
    for (const client of clients.splice(0)) client.close();
  };
  const dispose = () => {
    leave();
    program.kill("SIGKILL");
  };
  try {
    const port = await nextLine();
    const dial = () => connect({ hostname: "127.0.0.1", port, timeout: patience });
    clients.push(...await Promise.all(Array.from({ length: 150 }, dial)));
    const kept = await nextLine();
    // Otherwise the descriptors were enough, and the test has shown nothing.
    assertGreater(kept, 10);
    assertLess(kept, 80);
    return { dial, leave, ended, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

test(
  "iteration: a server that ran out of descriptors serves once it has some",
  skip(noLimit),
  async () => {
    using server = await crowd();
    server.leave();
    using late = await server.dial();
    assertEquals(await late.read(new Uint8Array(2)), 1);
  },
);

test(
  "iteration: while it lacks descriptors, unref lets the process end",
  skip(noLimit),
  async () => {
    using server = await crowd("unref");
    assertEquals(await within(patience, server.ended), [0, null]);
  },
);

test("dialling a name without a free descriptor is EMFILE", skip(noKernel ?? noLimit), async () => {
  const { output } = await spawnRuntime(testFile("programs/lookup_full.ts"), [], 2 * patience, {
    through: limited,
  });
  assertEquals(output.trim(), "EMFILE");
});
