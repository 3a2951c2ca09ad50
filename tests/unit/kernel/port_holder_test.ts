import { closeSync, openSync, readdirSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { portHolder } from "../../../src/kernel/port_holder.ts";
import { noTables, patience, spawnRuntime, testFile } from "../../contract/support.ts";
import { unshare, works } from "../../contract/support_namespace.ts";
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

test(
  "portHolder: looks on after a descriptor that is closed meanwhile",
  skip(noTables),
  async () => {
    const lower = openSync("/dev/null", "r");
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    // This number is used while the directory is read.
    closeSync(lower);
    try {
      const { port } = server.address() as AddressInfo;
      assertEquals(portHolder(port, true), "this process listens there");
    } finally {
      server.close();
    }
  },
);

/** Replaces the tables of the program that it starts by that of IPv4 alone. */
const withoutIpv6 = [
  ...unshare,
  "--mount",
  "sh",
  "-c",
  "ip link set lo up && mount -t tmpfs none /mnt && touch /mnt/tcp && " +
  'mount --bind /proc/$$/net/tcp /mnt/tcp && mount --rbind /mnt /proc/$$/net && exec "$@"',
  "sh",
];
const noMount = noTables ?? (works([...withoutIpv6, "true"]) ? undefined : "mounts over /proc");

test("portHolder: a kernel without IPv6 has one table", skip(noMount), async () => {
  const program = testFile("../unit/kernel/programs/port_holder.ts");
  const { output } = await spawnRuntime(program, [], 2 * patience, { through: withoutIpv6 });
  assertEquals(output.trim(), "false 1 this process listens there");
});
