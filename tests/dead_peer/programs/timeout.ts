/** Prints the messages of a read and of an attempt to connect to a silent port that ran out of time. */

import process from "node:process";
import { connect, listen } from "@holdfast/tcp";

using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 100 });
using socket = await connect({ port: listener.addr.port, timeout: 100 });
await socket.read(new Uint8Array(1)).catch((error) => console.log(error.message));
const port = Number(process.argv[2]);
await connect({ port, timeout: 100 }).catch((error) => console.log(error.message));
