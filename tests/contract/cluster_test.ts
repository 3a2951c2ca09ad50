/**
 * Servers in workers of `node:cluster`, whose primary has the listening socket.
 */

import process from "node:process";
import { test } from "node:test";
import { assertEquals, assertMatch } from "@std/assert";
import { spawnRuntime, testFile } from "./support.ts";
import { notLinux } from "./support_listen.ts";
import { skip } from "../support/skip.ts";

async function cluster(policy: "rr" | "none"): Promise<string[]> {
  process.env["NODE_CLUSTER_SCHED_POLICY"] = policy;
  try {
    const { code, output } = await spawnRuntime(testFile("programs/cluster.ts"));
    assertEquals(code, 0, output);
    return output.trim().split("\n");
  } finally {
    delete process.env["NODE_CLUSTER_SCHED_POLICY"];
  }
}

test(
  "cluster: a worker's server says who has the socket, its connections take options",
  skip(notLinux),
  async () => {
    const [refused, connection] = await cluster("rr");
    assertMatch(
      refused!,
      /^UnsupportedOptionError: .*worker of node:cluster.*server\.on\("connection"/,
    );
    // First the value of the primary's listener, then the one that the worker set on the connection.
    assertEquals(connection, "[50000,40000]");
  },
);

test(
  "cluster: a worker's server takes options where each worker accepts",
  skip(notLinux),
  async () => {
    assertEquals(await cluster("none"), ["60000", "[60000,40000]"]);
  },
);
