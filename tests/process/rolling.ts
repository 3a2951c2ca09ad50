/** Servers that replace each other on one port, while clients connect as fast as they can. */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { connect, SocketError } from "../../mod.ts";
import { sleep, until } from "../contract/support.ts";

/** How to start a server: program and arguments, to which the port is added. */
export type Command = readonly string[];

/** The results of the clients' connections. */
export interface Tally {
  /** Connections that got the right answer. */
  made: number;
  /** `ECONNREFUSED`: no server listened. */
  refused: number;
  /** `ECONNRESET`: a server listened, but ended. */
  reset: number;
  /** Anything else: no answer, or a wrong one. */
  lost: number;
  /** Longest time from dialling to the end of the answer, ms. */
  longest: number;
  /** Servers that did not end with 0, or had to reset a connection. */
  failed: number;
}

const clients = 16;
const limit = 20_000;

export interface RollingOptions {
  /** A descriptor that listens; without it each server binds to the port by itself. */
  inherited?: { fd: number; port: number };
  /** How long a client waits between two connections while a server starts, ms; a fourth of it otherwise. */
  pause?: number;
}

/** Both servers get at least so many connections before the older one is told to end. */
const together = 20;

/** Starts the first server, and replaces it by the next one until the last one is left. */
export async function rolling(
  servers: readonly Command[],
  { inherited, pause = 0 }: RollingOptions = {},
): Promise<Tally> {
  const tally: Tally = { made: 0, refused: 0, reset: 0, lost: 0, longest: 0, failed: 0 };
  const [first, ...rest] = servers;
  let [server, port] = await start(first!, inherited?.port ?? 0, inherited?.fd);
  let going = true;
  /** Settles when the server that starts listens, so that all clients come at once then. */
  let starting: Promise<unknown> | undefined;
  const load = Array.from({ length: clients }, async (_, client) => {
    for (let i = 0; going; i++) {
      await exchange(port, client * 1_000_000 + i, tally);
      if (pause === 0) continue;
      await (starting === undefined ? sleep(pause / 4) : Promise.race([starting, sleep(pause)]));
    }
  });
  try {
    for (const command of rest) {
      const started = start(command, port, inherited?.fd);
      starting = started.catch(() => {});
      const [successor] = await started;
      starting = undefined;
      // Not of an inherited descriptor: when Deno 2.9 starts a process with one, accepting on it blocks, in all
      // processes that have it, until the new one listens. SIGTERM wakes a server that stands still in that.
      if (inherited === undefined) {
        const enough = tally.made + together;
        await until(() => tally.made >= enough, `${together} connections`, limit);
      }
      if (await stop(server) !== 0) tally.failed++;
      server = successor;
    }
  } finally {
    going = false;
    await Promise.all(load);
    if (await stop(server) !== 0) tally.failed++;
  }
  return tally;
}

/** Resolves when the server listens. */
async function start(
  command: Command,
  port: number,
  fd: number | undefined,
): Promise<[ChildProcess, number]> {
  const [program, ...args] = command;
  const child = spawn(
    program!,
    [...args, String(port), ...(fd === undefined ? [] : ["inherited"])],
    { stdio: ["ignore", "pipe", "inherit", ...(fd === undefined ? [] : [fd])] },
  );
  const line = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code}`)));
    child.stdout!.once("data", (chunk: Uint8Array) => resolve(new TextDecoder().decode(chunk)));
  });
  return [child, Number(line)];
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  // After `child.kill` Deno reports the signal, even if the process ended with a code.
  process.kill(child.pid!, "SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  const code = await ended;
  clearTimeout(timer);
  return code;
}

/** One connection, one request, one answer. */
async function exchange(port: number, number: number, tally: Tally): Promise<void> {
  const begin = performance.now();
  const request = new Uint8Array(64);
  new DataView(request.buffer).setUint32(0, number);
  try {
    // Uses several addresses in turn, so that none runs out of ports in TIME_WAIT.
    const hostname = `127.0.0.${1 + number % 8}`;
    using socket = await connect({ hostname, port, timeout: limit });
    await socket.write(request);
    const answer: number[] = [];
    const into = new Uint8Array(128);
    for (;;) {
      const count = await socket.read(into);
      if (count === null) break;
      answer.push(...into.subarray(0, count));
    }
    if (answer.join() === request.join()) tally.made++;
    else tally.lost++;
  } catch (error) {
    const code = error instanceof SocketError ? error.code : "";
    if (code === "ECONNREFUSED") tally.refused++;
    else if (code === "ECONNRESET") tally.reset++;
    else tally.lost++;
  }
  tally.longest = Math.max(tally.longest, performance.now() - begin);
}

/** The program that {@linkcode rolling} starts, under the runtime at `binary`. */
export function successor(
  name: "deno" | "bun" | "node",
  binary: string,
): Command {
  const script = new URL("programs/successor.ts", import.meta.url).pathname;
  const flags = { deno: ["run", "-A", "--no-check", "-q"], bun: [], node: ["--no-warnings"] };
  return [binary, ...flags[name], script];
}
