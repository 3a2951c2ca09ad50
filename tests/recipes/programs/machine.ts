/**
 * The machine that vanishes: all servers, in a network namespace of their own. Prints their ports, and ends
 * with its input.
 *
 *     machine.ts CLIENTS SLOW
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { firstLine, patience, testFile } from "../../contract/support.ts";
import { mysql, postgres, redis } from "../servers.ts";

const node = "Deno" in globalThis || "Bun" in globalThis ? "node" : process.execPath;
const script = testFile("../recipes/programs/servers.mjs");
const child = spawn(node, [script, ...process.argv.slice(2)], {
  stdio: ["ignore", "pipe", "inherit"],
  env: { ...process.env, NODE_OPTIONS: "" },
});
const web = JSON.parse(await firstLine(child, 6 * patience));
const services = Object.entries({ redis, postgres, mysql })
  .filter(([, { missing }]) => missing === undefined);
const running = await Promise.all(services.map(([, service]) => service.start("0.0.0.0")));
const ports = Object.fromEntries(running.map(({ port }, i) => [services[i]![0], port]));
console.log(JSON.stringify({ ...web, ...ports }));
process.stdin.resume().once("end", () => {
  child.kill("SIGKILL");
  for (const server of running) server[Symbol.dispose]();
  process.exit(0);
});
