/** Listens on a Unix socket until it is killed. */

import process from "node:process";
import { listen } from "@holdfast/tcp";

const listener = await listen({ path: process.argv[2]!, timeout: null, backlog: 1 });
console.log("listening");
for await (const socket of listener) socket.close();
