/** Sockets of a worker, which shares its descriptors with the whole process. */

import { once } from "node:events";
import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { getOptions, setOptions } from "@holdfast/tcp";

const { port, base }: { port: number; base: number } = workerData;
const sockets = [];
for (let i = 0; i < 30; i++) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  setOptions(socket, { hopLimit: base + i });
  sockets.push(socket);
}
const wrong = sockets.filter((socket, i) => getOptions(socket).hopLimit !== base + i).length;
for (const socket of sockets) socket.destroy();
let closed;
try {
  setOptions(sockets[0]!, { hopLimit: 3 });
} catch (error) {
  closed = (error as { code?: string }).code;
}
parentPort!.postMessage({ wrong, closed });
