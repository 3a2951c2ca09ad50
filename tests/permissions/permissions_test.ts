/** What works under which permissions: the table of docs/permissions.md, cell by cell. */

import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { firstLine, noTables } from "../contract/support.ts";
import { skip } from "../support/skip.ts";

const features = fileURLToPath(new URL("features.ts", import.meta.url));
const program = fileURLToPath(new URL("denied.ts", import.meta.url));
const docs = fileURLToPath(new URL("../../docs/permissions.md", import.meta.url));

/** Flags by column of the table. */
const columns: Record<string, { runs: boolean; args: string[] }> = {
  "Deno": deno(),
  "Deno `--allow-net`": deno("--allow-net"),
  "Deno `--allow-net --allow-ffi`": deno("--allow-net", "--allow-ffi"),
  "Node 26 `--permission --allow-net`": node(),
  "Node 26 `... --allow-ffi`": node("--allow-ffi"),
};

function deno(...flags: string[]) {
  // On a terminal a prompt makes the program hang, which fails the test. Without one, Deno would deny.
  // With no permission flag at all Deno's node:child_process would add `-A`.
  const none = flags.length === 0 ? ["--allow-env=NONE"] : [];
  const args = ["run", "--no-check", ...none, ...flags, features];
  return { runs: "Deno" in globalThis, args };
}

function node(...flags: string[]) {
  const runs = !("Deno" in globalThis) && !("Bun" in globalThis) &&
    Number(process.versions.node.split(".")[0]) >= 26;
  // The files of this package have to be read.
  const args = [
    "--no-warnings",
    "--permission",
    "--allow-fs-read=*",
    "--allow-net",
    ...flags,
    features,
  ];
  return { runs, args };
}

/** The table of the page: feature, then column, then cell. */
function table(): Map<string, Map<string, string>> {
  const rows = readFileSync(docs, "utf8").split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [head = [], , ...body] = rows;
  return new Map(body.map(([feature = "", ...cells]) => [
    feature,
    new Map(cells.map((cell, i) => [head[i + 1]!, cell])),
  ]));
}

for (const [column, { runs, args }] of Object.entries(columns)) {
  test(
    `permissions: ${column} is as the table says`,
    skip(runs ? undefined : "about the permissions of another runtime"),
    () => {
      const env: Record<string, string | undefined> = { ...process.env, NODE_OPTIONS: undefined };
      delete env.NODE_OPTIONS;
      const { stdout, stderr } = spawnSync(process.execPath, args, {
        env,
        timeout: 60_000,
        encoding: "utf8",
      });
      assert(stdout !== "", stderr);
      const results: Record<string, string> = JSON.parse(stdout);
      const expected = table();
      assertEquals(Object.keys(results).sort(), [...expected.keys()].sort());
      for (const [feature, result] of Object.entries(results)) {
        const cell = expected.get(feature)!.get(column);
        if (cell === "yes") assertEquals([feature, result], [feature, "yes"]);
        else assert(result !== "yes" && result.includes(cell!), `${feature}: ${result}`);
      }
    },
  );
}

test(
  "permissions: Node 26 without --allow-net rejects, and throws nothing behind our back",
  skip(node().runs ? undefined : "about the permissions of another runtime"),
  () => {
    const mod = JSON.stringify(new URL("../../mod.ts", import.meta.url).href);
    const script = `
      const { connect, listen } = await import(${mod});
      for (const call of [connect, listen]) {
        await call({ hostname: "127.0.0.1", port: 9, timeout: 1_000 })
          .catch((error) => console.log(error.code));
      }`;
    const flags = node().args.filter((flag) => flag !== "--allow-net" && flag !== features);
    const args = [...flags, "--input-type=module", "--eval", script];
    const env: Record<string, string | undefined> = { ...process.env };
    delete env.NODE_OPTIONS;
    const { stdout, stderr } = spawnSync(process.execPath, args, {
      env,
      timeout: 60_000,
      encoding: "utf8",
    });
    assertEquals([stdout, stderr], ["ERR_ACCESS_DENIED\nERR_ACCESS_DENIED\n", ""]);
  },
);

/** Flags that allow system calls and forbid the network, which only Node can do. */
const denied = node("--allow-ffi").runs
  ? node("--allow-ffi").args.filter((arg) => arg !== "--allow-net" && arg !== features)
  : undefined;

test(
  "permissions: a listener that the runtime may not take over leaves no descriptor",
  skip(noTables ?? (denied ? undefined : "about the permissions of another runtime")),
  async () => {
    const child = spawn(process.execPath, [...denied!, program], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    try {
      assertMatch(await firstLine(child), /^Error ERR_ACCESS_DENIED$/);
      const directory = `/proc/${child.pid}/fd`;
      const sockets = readdirSync(directory).map((fd) => readlinkSync(`${directory}/${fd}`))
        .filter((link) => link.startsWith("socket:"));
      // Ten times three listeners, and what the runtime opens for itself.
      assert(sockets.length < 10, `${sockets.length} sockets are open`);
    } finally {
      child.kill("SIGKILL");
    }
  },
);
