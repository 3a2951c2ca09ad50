/**
 * Opens two connections between the same two link-local addresses, on two links, and prints their hop
 * limits and the options that were set. Runs in a network namespace of its own.
 */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import process from "node:process";
import { getOptions, setOptions } from "../../../mod.ts";
import { descriptorsOf } from "../support_descriptors.ts";

for (const n of [0, 1]) {
  const commands = [
    `link add v${n} type veth peer name w${n}`,
    `addr add fe80::1/64 dev v${n} nodad`,
    `addr add fe80::2/64 dev w${n} nodad`,
    `link set v${n} up`,
    `link set w${n} up`,
  ];
  for (const command of commands) {
    const { status, stderr } = spawnSync("ip", command.split(" "), { encoding: "utf8" });
    if (status !== 0) throw new Error(`ip ${command}: ${stderr}`);
  }
}
spawnSync("ip", ["link", "set", "lo", "up"]);

const server = createServer().listen(7777, "::");
const sockets: Socket[] = [];
server.on("connection", (socket) => sockets.push(socket));
await once(server, "listening");
// Not every runtime's API lets a program choose the link of both ends.
const python = spawn("python3", [
  "-c",
  `
import socket, sys, time
all = []
for link in "v0", "v1":
    s = socket.socket(socket.AF_INET6)
    n = socket.if_nametoindex(link)
    s.bind(("fe80::1", 5555, 0, n))
    s.connect(("fe80::2", 7777, 0, n))
    all.append(s)
sys.stdin.read()
`,
], { stdio: ["pipe", "inherit", "inherit"] });
for (let i = 0; i < 200 && sockets.length < 2; i++) {
  await new Promise((done) => setTimeout(done, 50));
}
const results = sockets.map((socket, i) => {
  try {
    setOptions(socket, { hopLimit: 20 + i });
    return getOptions(socket).hopLimit;
  } catch (error) {
    return (error as Error).name;
  }
});
const kernel = descriptorsOf(7777, 5555).map((fd) => getOptions({ fd }).hopLimit);
console.log(JSON.stringify({ results, kernel }));
python.kill();
process.exit(0);
