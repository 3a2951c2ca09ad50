/** Writes to a peer that does not read, and ends long after the peer's window has closed. */

import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { connect, guard } from "@holdfast/tcp";
import { sleep } from "../../contract/support.ts";

const [port, size] = process.argv.slice(2).map(Number);
const how = process.argv[4];
const data = new Uint8Array(size!);
if (how === "a guard") {
  guard({ match: { remotePort: port! }, deadPeerTimeout: 4_000, every: 20 });
  const socket = net.connect(port!, "127.0.0.1");
  await once(socket, "connect");
  socket.write(data);
} else {
  const socket = await connect({
    hostname: "127.0.0.1",
    port: port!,
    timeout: null,
    deadPeerTimeout: 4_000,
    sendBufferSize: 200_000,
  });
  await socket.write(data);
  if (how === "close()") setTimeout(() => socket.close(), 7_000);
}
await sleep(7_000);
// The socket of node:net would keep it running.
if (how === "a guard") process.exit();
