/** `@holdfast/tcp/guard`: a guard from environment variables, loaded before a program. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { skip } from "../support/skip.ts";
import { webServer } from "../support/web.ts";
import { patience, testFile, within } from "./support.ts";
import { noKernel } from "./support_listen.ts";

const entry = import.meta.resolve("@holdfast/tcp/guard");

function flags(): string[] {
  if ("Deno" in globalThis) return ["run", "-A", "--no-check", "--preload", entry];
  if ("Bun" in globalThis) return ["--preload", fileURLToPath(entry)];
  return ["--import", entry];
}

/** Runs the program under a guard that these variables describe. */
async function run(env: Record<string, string>, program = "programs/preloaded.ts") {
  using server = await webServer();
  const { port } = server;
  const args = [...flags(), testFile(program), String(port)];
  const ports = env["HOLDFAST_PORTS"]?.replace("PORT", String(port));
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...env, ...ports ? { HOLDFAST_PORTS: ports } : {} },
  });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Uint8Array) => text[name] += new TextDecoder().decode(chunk));
  }
  try {
    const [code] = await within(2 * patience, once(child, "close"));
    return { code: code as number, ...text };
  } finally {
    child.kill("SIGKILL");
  }
}

test("variables become options of the program's sockets", skip(noKernel), async () => {
  const { code, stdout, stderr } = await run({
    HOLDFAST_KEEPALIVE: "1m, 11s,4",
    HOLDFAST_USER_TIMEOUT: "31000ms",
    HOLDFAST_PORTS: "9,PORT",
  });
  assertEquals(code, 0, stderr);
  const [values] = JSON.parse(stdout);
  const keepAlive = { idle: 60_000, interval: 11_000, count: 4 };
  assertEquals(values, { keepAlive, userTimeout: 31_000 });
  assert(!stderr.includes("holdfast"), stderr);
});

test("other ports are left alone", skip(noKernel), async () => {
  const { code, stdout } = await run({ HOLDFAST_USER_TIMEOUT: "31s", HOLDFAST_PORTS: "9" });
  const [values] = JSON.parse(stdout);
  assertEquals([code, values.userTimeout], [0, null]);
});

const wrong: [env: Record<string, string>, message: string][] = [
  [{ HOLDFAST_KEEPALIVE: "60" }, "HOLDFAST_KEEPALIVE must be idle time, interval and count"],
  [{ HOLDFAST_KEEPALIVE: "60s,10s,3,4" }, "HOLDFAST_KEEPALIVE"],
  [{ HOLDFAST_KEEPALIVE: "60s,10s,x" }, "HOLDFAST_KEEPALIVE"],
  [{ HOLDFAST_KEEPALIVE: "" }, "HOLDFAST_KEEPALIVE"],
  [{ HOLDFAST_USER_TIMEOUT: "30 seconds" }, "HOLDFAST_USER_TIMEOUT must be a time such as 30s"],
  [{ HOLDFAST_USER_TIMEOUT: "0s" }, "'userTimeout'"],
  [{ HOLDFAST_DEAD_PEER_TIMEOUT: "10ms" }, "'deadPeerTimeout'"],
  [{ HOLDFAST_DEAD_PEER_TIMEOUT: "20s", HOLDFAST_KEEPALIVE: "60s" }, "'deadPeerTimeout'"],
  [{ HOLDFAST_USER_TIMEOUT: "30s", HOLDFAST_PORTS: "80,http" }, "HOLDFAST_PORTS must be ports"],
  [{ HOLDFAST_USER_TIMEOUT: "30s", HOLDFAST_PORTS: "0" }, "HOLDFAST_PORTS"],
];

test("a value that is wrong ends the process at once", skip(noKernel), async () => {
  // Not at the same time, which a busy machine does not do within the limit of each.
  for (const [env, message] of wrong) {
    const { code, stdout, stderr } = await run(env);
    assertEquals(code, 1, JSON.stringify(env));
    assertEquals(stdout, "");
    const said = stderr.split("\n").filter((line) => line.startsWith("holdfast: "));
    assert(said.length === 1 && said[0]!.includes(message), stderr);
  }
});

test("without a variable it says so, and the program runs", skip(noKernel), async () => {
  const { code, stdout, stderr } = await run({});
  assertEquals([code, JSON.parse(stdout)[0].userTimeout], [0, null]);
  assert(stderr.includes("holdfast: nothing to do"), stderr);
});

test("an option that the kernel refuses is reported", skip(noKernel), async () => {
  const env = { HOLDFAST_USER_TIMEOUT: "31s" };
  const { code, stderr } = await run(env, "programs/preloaded_refused.ts");
  assertEquals(code, 0, stderr);
  assert(stderr.includes("refuses an option for the socket 9 (EINVAL)"), stderr);
});

test(
  "this library's connections are left alone when there are workers",
  skip(noKernel),
  async () => {
    const { code, stdout, stderr } = await run(
      { HOLDFAST_USER_TIMEOUT: "31s" },
      "programs/preloaded_worker.ts",
    );
    assertEquals([code, stdout.trim()], [0, "null"], stderr);
  },
);
