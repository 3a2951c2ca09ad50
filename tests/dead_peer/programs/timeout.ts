/** Prints the message of a read that ran out of time. */

import { connect, listen } from "@holdfast/tcp";

using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 100 });
using socket = await connect({ port: listener.addr.port, timeout: 100 });
await socket.read(new Uint8Array(1)).catch((error) => console.log(error.message));
