/**
 * Other libraries' sockets without the permission for system calls. The programs run on a terminal, where
 * a prompt would make them hang.
 */

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { notLinux } from "../contract/support_listen.ts";
import { skip } from "../support/skip.ts";
import { descriptorsOf } from "./support_descriptors.ts";

const noPermissions = "Deno" in globalThis ? undefined : "this runtime has no such permissions";
const noTerminal = spawnSync("script", ["--version"]).status === 0
  ? undefined
  : "needs a terminal: install util-linux";
const reason = noPermissions ?? notLinux ?? noTerminal;

const program = fileURLToPath(new URL("programs/limited.ts", import.meta.url));

/** Runs the program on a terminal of its own, with `fd` as its descriptor 3. */
function run(flags: string[], what: string, fd?: number): Record<string, unknown> {
  const command = [process.execPath, "run", "--no-check", ...flags, program, what].join(" ");
  const { stdout, signal } = spawnSync("script", ["-qec", command, "/dev/null"], {
    encoding: "utf8",
    timeout: 30_000,
    stdio: ["pipe", "pipe", "inherit", ...(fd === undefined ? [] : [fd])],
  });
  assertEquals(signal, null, `it hangs: ${stdout}`);
  assert(!/requests|prompt/i.test(stdout), stdout);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

const needsFfi = (option: string) => ({ option, remedy: "needs --allow-ffi" });

test("without --allow-ffi native setters work, the rest names the flag", skip(reason), () => {
  const results = run(["--allow-net"], "sockets");
  for (const name of ["conn", "accepted", "listener", "socket"]) {
    if (name !== "listener") assertEquals(results[`${name} native`], "set");
    assertEquals(results[`${name} setOptions`], needsFfi("userTimeout"));
    assertEquals(results[`${name} getOptions`], needsFfi("getOptions"));
    assertEquals(results[`${name} tcpInfo`], needsFfi("tcpInfo"));
  }
  assertEquals(results["wrap"], "TimeoutError");
});

test("with --allow-net and --allow-ffi nothing else is needed", skip(reason), () => {
  const results = run(["--allow-net", "--allow-ffi"], "sockets");
  for (const name of ["conn", "accepted", "listener", "socket"]) {
    assertEquals(results[`${name} setOptions`], { userTimeout: 9_000 });
    assertEquals(results[`${name} getOptions`], 9_000);
    assertEquals(results[`${name} tcpInfo`], name === "listener" ? "LISTEN" : "ESTABLISHED");
  }
  assertEquals(results["wrap"], "TimeoutError");
});

test("a bare descriptor needs --allow-ffi and no --allow-net", skip(reason), async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const [fd] = descriptorsOf(port, 0);
  try {
    // With no permission flag at all Deno's node:child_process would add -A.
    const none = run(["--allow-env=NONE"], "descriptor", fd);
    assertEquals(none, { getOptions: needsFfi("fd"), setOptions: needsFfi("fd") });
    const ffi = run(["--allow-ffi"], "descriptor", fd);
    assertEquals(ffi, { getOptions: "number", setOptions: { hopLimit: 9 } });
  } finally {
    server.close();
  }
});
