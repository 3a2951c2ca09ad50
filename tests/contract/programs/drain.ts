/** Listens, prints its port, and reads everything as fast as it can. */

import { createServer } from "node:net";
import type { AddressInfo } from "node:net";

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.resume();
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
