/** Servers that replace each other lose no connection, and a server that gets SIGTERM ends well. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { capabilities, connect, listen } from "@holdfast/tcp";
import {
  cannotSet,
  firstLine,
  patience,
  readExactly,
  sleep,
  startRuntime,
  testFile,
  until,
  within,
} from "../contract/support.ts";
import { descriptorOf, notLinux } from "../contract/support_listen.ts";
import { skip } from "../support/skip.ts";
import versions from "../../scripts/versions.json" with { type: "json" };
import { openListening } from "../../src/kernel/listening.ts";
import { systemCalls } from "./calls.ts";
import { rolling, successor } from "./rolling.ts";

const own = capabilities().runtime;

/** The runtimes on this machine, the running one first. */
const servers = (["deno", "bun", "node"] as const)
  .map((name) => [name, binaryOf(name)] as const)
  .sort(([name]) => name === own ? -1 : 0)
  .flatMap(([name, binary]) => binary === undefined ? [] : [successor(name, binary)]);
const alone = servers.length < 2 ? "needs another runtime: 'deno task test' gets them" : undefined;

function binaryOf(name: "deno" | "bun" | "node"): string | undefined {
  if (name === own) return process.execPath;
  const memory = new URL(`../../.cache/${name}-${versions[name]}.path`, import.meta.url);
  if (existsSync(memory)) return readFileSync(memory, "utf8");
  return spawnSync(name, ["--version"]).status === 0 ? name : undefined;
}

const restarts = 10;

/** How long clients wait between connections while a server starts, which takes most of the time, ms. */
const pause = 100;

const none = { refused: 0, reset: 0, lost: 0, failed: 0 };

test(
  "a rolling restart, ten times under load: none is refused, reset or lost",
  skip(notLinux ?? cannotSet("reusePort")),
  async () => {
    const command = successor(own, process.execPath);
    const { made, longest: _, ...rest } = await rolling(
      Array.from({ length: restarts + 1 }, () => command),
      { pause },
    );
    assertEquals(rest, none);
    assert(made >= 200, `${made} connections`);
  },
);

test(
  "Deno replaces Bun replaces Node.js, as far as they are here, ten times",
  skip(notLinux ?? cannotSet("reusePort") ?? alone),
  async () => {
    const { made, longest: _, ...rest } = await rolling(
      Array.from({ length: restarts + 1 }, (_, i) => servers[i % servers.length]!),
      { pause },
    );
    assertEquals(rest, none);
    assert(made >= 200, `${made} connections`);
  },
);

test(
  "servers that inherit a listening descriptor replace each other, and lose none",
  skip(notLinux ?? cannotSet("fd")),
  async () => {
    const kernel = systemCalls();
    const plan = {
      hostname: "0.0.0.0",
      port: await freePort(),
      reuseAddress: true,
      reusePort: false,
      ipv6Only: undefined,
      backlog: 1_024,
      fd: undefined,
    };
    const fd = openListening(kernel, plan, "0.0.0.0");
    const command = successor(own, process.execPath);
    const { made, longest: _, ...rest } = await rolling([command, command, command], {
      inherited: { fd, port: plan.port },
    });
    kernel.close(fd);
    assertEquals(rest, none);
    // How many more depends on how fast the machine replaces servers.
    assert(made >= 10, `${made} connections`);
  },
);

test(
  "a process that has inherited a socket gets its connections when the one that opened it has drained",
  skip(notLinux ?? cannotSet("fd")),
  async () => {
    const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
    const { port } = listener.addr;
    const script = testFile("../process/programs/successor.ts");
    const child = startRuntime(script, [String(port), "inherited"], { fd: descriptorOf(listener) });
    try {
      await firstLine(child);
      await listener.drain();
      using client = await connect({ port, timeout: patience });
      await client.write(new Uint8Array(64));
      assertEquals((await readExactly(client, 64)).length, 64);
    } finally {
      child.kill("SIGKILL");
    }
  },
);

async function freePort(): Promise<number> {
  const spare = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  spare.close();
  return spare.addr.port;
}

/** The first example of docs/restart.md as a program, with another port and another limit. */
function recipe(port: number, limit: number): string {
  const page = readFileSync(new URL("../../docs/restart.md", import.meta.url), "utf8");
  const code = /^```ts .*by tests\/process.*\n([^]*?)^```$/m.exec(page)![1]!;
  assert(code.includes("8080") && code.includes("10_000"));
  const folder = new URL("../../.cache/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = fileURLToPath(new URL(`stop_${process.pid}_${port}.ts`, folder));
  writeFileSync(file, code.replace("8080", String(port)).replace("10_000", String(limit)));
  return file;
}

for (const finishes of [true, false]) {
  test(`SIGTERM: a client that ${finishes ? "finishes" : "does not finish"}, and the process ends with 0`, async () => {
    const port = await freePort();
    const file = recipe(port, finishes ? 60_000 : 1_000);
    const child = startRuntime(file);
    let output = "";
    child.stdout!.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
    try {
      using client = await connect({ port, timeout: 2 * patience, retry: { delay: 50, max: 200 } });
      // The server's answer to another client shows that this one was accepted.
      using other = await connect({ port, timeout: patience });
      await other.write(new Uint8Array(5));
      assertEquals((await readExactly(other, 5)).length, 5);
      other.close();
      const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
      process.kill(child.pid!, "SIGTERM");
      await sleep(600);
      if (finishes) {
        await client.write(new Uint8Array(7));
        assertEquals((await readExactly(client, 7)).length, 7);
        assertEquals(await client.read(new Uint8Array(1)), null);
        client.close();
      }
      assertEquals(await within(2 * patience, ended), 0);
      await until(() => output.includes("\n"), "it has printed");
      const counts = /(\d+) finished, (\d+) reset/.exec(output)!.slice(1).map(Number);
      assertEquals(counts[1], finishes ? 0 : 1, output);
    } finally {
      child.kill("SIGKILL");
      rmSync(file, { force: true });
    }
  });
}
