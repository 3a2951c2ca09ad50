/** Opens two connections, reads nothing, and writes to both after it was stopped and continued. */

import { connect } from "node:net";
import process from "node:process";

const sockets = [0, 1].map(() => connect(Number(process.argv[2]), "127.0.0.1").pause());
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  if (now - last > 3_000) { for (const socket of sockets) socket.write("awake"); }
  last = now;
}, 100);
