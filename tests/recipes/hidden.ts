/**
 * Measures how connections of hidden sockets end when the peer's machine vanishes, without and with a
 * guard. All clients and servers of this runtime run at once, in two network namespaces.
 */

import type { ChildProcess } from "node:child_process";
import process from "node:process";
import { firstLine, startRuntime, testFile } from "../contract/support.ts";
import { openNetwork } from "../dead_peer/namespaces.ts";

/** One row. */
export interface HiddenResult {
  name: string;
  situation: "in flight" | "idle" | "slow";
  guarded: boolean;
  /** How often the client dials again. */
  repeats: number;
  /** The result that the caller got; "answered", or "nothing" until the limit. */
  outcome: string;
  /** The time since the machine had vanished. */
  ms: number;
  failure?: string;
}

/** The guard's `deadPeerTimeout`, ms. */
export const timeout = 5_000;
/** The delay of a slow answer, which must not end a connection. */
const slow = 2.5 * timeout;

/** Measures all rows. Those without a guard wait for `limit` ms. */
export async function measureHidden(limit: number): Promise<HiddenResult[]> {
  using network = openNetwork(90);
  const clients = process.env["HOLDFAST_CLIENTS"]!;
  const program = (name: string) => testFile(`../recipes/programs/${name}`);
  const enter = (namespace: string) => ["ip", "netns", "exec", namespace];
  const children: ChildProcess[] = [];
  try {
    const machine = startRuntime(program("machine.ts"), [clients, String(slow)], {
      through: enter(network.there),
    });
    children.push(machine);
    const ports = await firstLine(machine, 60_000);
    const run = async (first: number, limit: number, guarded: string) => {
      const numbers = [first, timeout, slow, limit].map(String);
      const args = [network.there, ports, ...numbers, guarded];
      const subject = startRuntime(program("hidden.ts"), args, { through: enter(network.here) });
      children.push(subject);
      return await linesOf(subject);
    };
    const both = [run(1, 4 * timeout, "guarded"), run(45, limit, "")];
    const results = (await Promise.all(both)).flat().map((line) =>
      JSON.parse(line) as HiddenResult
    );
    await ending(machine);
    return results;
  } finally {
    // Processes that still sleep would keep the namespaces.
    for (const child of children) child.kill("SIGKILL");
  }
}

async function linesOf(child: ChildProcess): Promise<string[]> {
  let output = "";
  child.stdout!.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`The subject ended with ${code}: ${output}`);
  return output.split("\n").filter((line) => line.startsWith("{"));
}

/** Makes the machine stop its servers. */
async function ending(machine: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => machine.once("close", resolve));
  machine.stdin!.end();
  await closed;
}
