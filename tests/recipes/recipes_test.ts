/**
 * Every example of docs/recipes.md, run with the real client against the real server, read back from
 * the kernel and seen from outside by `ss`.
 */

import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { capabilities, type KernelOptions } from "@holdfast/tcp";
import { noTables, patience, sleep, until, within } from "../contract/support.ts";
import { noKernel } from "../contract/support_listen.ts";
import { skip } from "../support/skip.ts";
import { grpc, itself, mongodb, mysql, postgres, redis, type Service, web } from "./servers.ts";

/** An example: its runtimes, from the text before it, and its code. */
interface Recipe {
  name: string;
  runtimes: string;
  code: string;
  service: Service;
  /** The port in the example. */
  port: number;
  /** On which ends of the port's connections the example sets options. */
  ends: ("local" | "remote")[];
}

const services: [port: number, service: Service][] = [
  [6379, redis],
  [5432, postgres],
  [3306, mysql],
  [27017, mongodb],
  [50051, grpc],
];

/** All examples of the page, in order. */
function recipes(): Recipe[] {
  const text = readFileSync(new URL("../../docs/recipes.md", import.meta.url), "utf8");
  return text.split(/^## /m).slice(1).flatMap((section) => {
    const title = section.split("\n", 1)[0]!;
    let runtimes = "";
    return section.split(/^```ts .*\n/m).flatMap((part, i, parts) => {
      runtimes = [...part.matchAll(/^Runs in ([\w, ]+)\./gm)].at(-1)?.[1] ?? runtimes;
      if (i + 1 === parts.length) return [];
      const code = parts[i + 1]!.split(/^```$/m)[0]!;
      const name = i === 0 ? title : `${title}, ${i + 1}`;
      return [{ name, runtimes, code, ...surroundings(code) }];
    });
  });
}

function surroundings(code: string): Pick<Recipe, "service" | "port" | "ends"> {
  for (const [port, service] of services) {
    if (code.includes(String(port))) return { port, service, ends: ["remote"] };
  }
  if (/WebSocketServer/.test(code)) {
    return { port: 8080, service: itself, ends: ["local", "remote"] };
  }
  return /createServer|\.serve\(/.test(code)
    ? { port: 8080, service: itself, ends: ["local"] }
    : { port: 8080, service: web, ends: ["remote"] };
}

const clients = process.env["HOLDFAST_CLIENTS"];
const noClients = clients === undefined
  ? "needs clients from npm: 'deno task test' installs them"
  : undefined;
const noSs = spawnSync("ss", ["-V"]).status === 0 ? undefined : "needs ss: install iproute2";

function why({ runtimes, service }: Recipe): string | undefined {
  if (!runtimes.toLowerCase().includes(capabilities().runtime)) return `docs: for ${runtimes}`;
  return noTables ?? noKernel ?? noSs ?? noClients ?? service.missing;
}

const all = recipes();

test("the page of recipes has examples", () => {
  assert(all.length >= 12, `${all.length} examples`);
  for (const { name, runtimes } of all) assert(runtimes !== "", name);
});

for (const recipe of all.filter(({ name }) => name !== "Prometheus")) {
  test(`recipe: ${recipe.name}`, skip(why(recipe)), async () => {
    using server = await recipe.service.start();
    const { port } = server;
    using example = start(recipe, port);
    const outside = recipe.ends.join() === "local"
      // A connection from before the listener has its options does not inherit them.
      ? await example.running().then(() => dial(port))
      : undefined;
    try {
      const shown = await example.reported();
      const wanted = [...recipe.code.matchAll(/console\.log\(.*\)\)?; \/\/ (.*)$/gm)];
      for (const [, output] of wanted) {
        await until(() => example.output().includes(output!), `${output} is printed`);
      }
      for (const end of recipe.ends) {
        const ours = shown[end]!;
        assert(ours.length > 0, `no connection with ${end} port ${port}`);
        for (const { keepAlive, userTimeout } of ours) {
          assertEquals(keepAlive, { idle: 60_000, interval: 10_000, count: 3 });
          assertEquals(userTimeout, 30_000);
        }
        await seenBySs(port, end, ours.length);
      }
    } finally {
      outside?.destroy();
    }
  });
}

const prometheus = all.find(({ name }) => name === "Prometheus")!;

test("recipe: Prometheus", skip(why(prometheus)), async () => {
  using server = await prometheus.service.start();
  using example = start(prometheus, server.port);
  // Its own connection is among them, as the server sees it.
  const held = await dial(server.port);
  try {
    const scrape = async () =>
      await (await within(patience, fetch(`http://127.0.0.1:${server.port}/metrics`))).text();
    const text = await scrape();
    const value = (key: string) => {
      const line = text.split("\n").find((line) => line.startsWith(`holdfast_${key} `));
      assert(line !== undefined, `${key}: ${text} ${example.output()}`);
      return Number(line.split(" ")[1]);
    };
    assertEquals(value('sockets{kind="listener",state="LISTEN"}'), 1);
    assert(value('sockets{kind="connection",state="ESTABLISHED"}') >= 2);
    const port = `{port="${held.localPort}"}`;
    assertEquals(value(`connections${port}`), 1);
    assert(value(`rtt_milliseconds_sum${port}`) > 0);
    assertEquals(value(`retransmitted_segments${port}`), 0);
    assert(value(`unacknowledged_segments${port}`) >= 0);
  } finally {
    held.destroy();
  }
});

/** Runs the example in a process of its own, which then waits until the test has looked at it. */
function start({ name, code, port: written, ends }: Recipe, port: number) {
  const folder = clients!;
  const slug = name.toLowerCase().replace(/\W+/g, "_");
  const file = join(folder, `${capabilities().runtime}_${slug}.ts`);
  writeFileSync(
    file,
    `${code.replaceAll(String(written), String(port))}
import { report } from ${JSON.stringify(new URL("report.ts", import.meta.url).href)};
setInterval(() => {
  const shown = Object.fromEntries(${
      JSON.stringify(ends)
    }.map((end) => [end, report(${port}, end)]));
  console.log("[report]" + JSON.stringify(shown));
}, 100);
`,
  );
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check", "--config", config(folder)] : [];
  const child = spawn(process.execPath, [...flags, file], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
  }
  return {
    output: () => output,
    /** Waits until the example has run. */
    async running() {
      await until(() => child.exitCode !== null || output.includes("[report]"), name, 2 * patience);
    },
    /** Waits until the connections exist and have their options. */
    async reported() {
      const end = performance.now() + 2 * patience;
      for (;;) {
        await sleep(150);
        if (child.exitCode !== null) throw new Error(`${name} ended: ${output}`);
        const lines = output.split("\n").slice(0, -1);
        const line = lines.findLast((line) => line.startsWith("[report]"));
        const shown = JSON.parse(line?.slice("[report]".length) ?? "{}");
        // Of all, as drivers open connections at any time, which a guard sees a little later.
        const done = ends.every((end) =>
          shown[end]?.length > 0 &&
          shown[end].every(({ userTimeout }: KernelOptions) => userTimeout)
        );
        if (done || performance.now() > end) {
          assert(line !== undefined, `${name} does not answer: ${output}`);
          return shown;
        }
      }
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

/** For Deno: the import map for the names in an example. */
function config(folder: string): string {
  const file = join(folder, "deno.json");
  const mod = new URL("../../mod.ts", import.meta.url).href;
  writeFileSync(
    file,
    JSON.stringify({ imports: { "@holdfast/tcp": mod }, nodeModulesDir: "manual" }),
  );
  return file;
}

/** A client that keeps its connection. */
async function dial(port: number) {
  for (let i = 0;; i++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    const connected = once(socket, "connect").then(() => true, () => false);
    if (await within(patience, connected)) {
      socket.write("GET / HTTP/1.1\r\nHost: example\r\nConnection: keep-alive\r\n\r\n");
      socket.resume();
      return socket;
    }
    if (i === 100) throw new Error(`Nobody listens on ${port}`);
    await sleep(100);
  }
}

/** Asserts that all keepalive timers that `ss` shows run, none of them longer than the idle time. */
async function seenBySs(port: number, end: "local" | "remote", count: number): Promise<void> {
  const filter = `${end === "local" ? "sport" : "dport"} = :${port}`;
  let output = "";
  for (let i = 0; i < 20; i++) {
    const args = ["-tnoH", "state", "established", filter];
    output = spawnSync("ss", args, { encoding: "utf8" }).stdout;
    const timers = [...output.matchAll(/timer:\(keepalive,(?:(\d+)min)?(?:(\d+)sec)?/g)]
      .map(([, minutes = "0", seconds = "0"]) => 60 * Number(minutes) + Number(seconds));
    if (timers.length >= count && timers.every((left) => left > 50 && left <= 60)) return;
    // While data is in flight, `ss` shows another timer.
    await sleep(100);
  }
  throw new Error(`${count} connections with 60 s of keepalive expected: ${output}`);
}
