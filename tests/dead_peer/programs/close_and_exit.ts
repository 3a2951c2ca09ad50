/** Writes to a peer that does not read, closes long after the peer's window has closed, and ends. */

import process from "node:process";
import { connect } from "@holdfast/tcp";
import { sleep } from "../../contract/support.ts";

const [port, size] = process.argv.slice(2).map(Number);
const socket = await connect({
  hostname: "127.0.0.1",
  port: port!,
  timeout: null,
  deadPeerTimeout: 4_000,
  sendBufferSize: 200_000,
});
await socket.write(new Uint8Array(size!));
await sleep(7_000);
socket.close();
