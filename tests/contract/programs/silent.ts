/**
 * Listens and blocks its event loop, so that the runtime cannot accept by itself. Ends after a while, if the
 * test does not end it.
 */

import { writeSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import process from "node:process";

const host = process.argv[2];
const server = createServer().listen({ host, port: 0, backlog: 1 }, () => {
  writeSync(1, `${(server.address() as AddressInfo).port}\n`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 120_000);
  process.exit();
});
