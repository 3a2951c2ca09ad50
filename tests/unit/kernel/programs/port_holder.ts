/** Prints whether there is a table of IPv6, and what is found about a port of its own. */

import { once } from "node:events";
import { existsSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { listenersOn, portHolder } from "../../../../src/kernel/port_holder.ts";

const server = net.createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
console.log(existsSync("/proc/net/tcp6"), listenersOn(port), portHolder(port, true));
server.close();
