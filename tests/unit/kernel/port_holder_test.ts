import { readdirSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { portHolder } from "../../../src/kernel/port_holder.ts";
import { noTables } from "../../contract/support.ts";
import { skip } from "../../support/skip.ts";

test(
  "portHolder: looks at this process first, and only at so many descriptors",
  skip(noTables),
  async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const here = readdirSync("/proc/self/fd").length;
    try {
      assertEquals(portHolder(port, true, here + 1), "this process listens there");
      assertEquals(portHolder(port, true, 0), "another process listens there");
    } finally {
      server.close();
    }
  },
);
