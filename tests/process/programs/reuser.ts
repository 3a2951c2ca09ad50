/**
 * A thread that opens and closes sockets of two kinds in turn, as fast as it can, mostly with the same
 * descriptor: A at 127.0.0.3, and B at 127.0.0.2, which must not be changed. It reports how often one was.
 */

import { parentPort, workerData } from "node:worker_threads";
import { constants } from "../../../src/kernel/constants.ts";
import { encode, SOCK_STREAM } from "../../../src/kernel/sockaddr.ts";
import { readInt } from "../../../src/kernel/tcp_socket.ts";
import { systemCalls } from "../calls.ts";

const kernel = systemCalls();
const { IPPROTO_IP, IP_TTL } = constants;
const rounds: number = workerData.rounds;
const addresses = ["127.0.0.3", "127.0.0.2"].map((address) => encode(address, 0, "linux"));
let touched = 0;
let reused = 0;
let last = -1;
for (let i = 0; i < 2 * rounds; i++) {
  const fd = kernel.socket(2, SOCK_STREAM, 0);
  if (fd === last) reused++;
  last = fd;
  kernel.bind(fd, addresses[i % 2]!);
  const before = readInt(kernel, fd, IPPROTO_IP!, IP_TTL!);
  // Leaves the other thread time to look, and to come too late.
  for (let spin = 0; spin < 20; spin++) kernel.lowestFree();
  if (i % 2 === 1 && readInt(kernel, fd, IPPROTO_IP!, IP_TTL!) !== before) touched++;
  kernel.close(fd);
}
parentPort!.postMessage({ touched, reused });
