/** What axios and its agent do to the options of a socket, and how to win, as docs/recipes.md says. */

import { once } from "node:events";
import { Agent, createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { assertEquals, assertNotEquals } from "@std/assert";
import { getOptions, setOptions, sockets } from "@holdfast/tcp";
import { until } from "../contract/support.ts";
import { noKernel } from "../contract/support_listen.ts";
import { skip } from "../support/skip.ts";

const clients = process.env["HOLDFAST_CLIENTS"];
const keepAlive = { idle: 60_000, interval: 10_000, count: 3 };

interface Axios {
  create(options: { httpAgent: Agent }): {
    get(url: string): Promise<{ request: { socket: Socket } }>;
  };
}

let axios: Axios | undefined;
let noAxios: string | undefined = "the clients are not installed";
if (clients !== undefined) {
  try {
    axios = createRequire(join(clients, "package.json"))("axios") as Axios;
    noAxios = undefined;
  } catch (error) {
    noAxios = `axios is not to be had by require() here: ${
      (error as Error).message.split("\n", 1)[0]
    }`;
  }
}
const missing = noKernel ?? noAxios;

/** The values of the connection while the second request waits, and after it. */
async function second(httpAgent: Agent): Promise<unknown[]> {
  let asked = 0;
  let answer = () => {};
  const server = createServer((_request, response) => {
    answer = () => response.end("hello");
    if (++asked === 1) answer();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    const client = axios!.create({ httpAgent });
    const { request } = await client.get(`http://127.0.0.1:${port}/`);
    setOptions(request.socket, { keepAlive });
    const values = () => sockets({ remotePort: port }).map((entry) => getOptions(entry).keepAlive);
    const waiting = client.get(`http://127.0.0.1:${port}/`);
    await until(() => asked === 2, "the second request");
    const during = values();
    answer();
    await waiting;
    return [during, values()];
  } finally {
    httpAgent.destroy();
    server.close();
    server.closeAllConnections();
  }
}

test("axios and its agent take options away", skip(missing), async () => {
  const [, after] = await second(new Agent({ keepAlive: true }));
  assertNotEquals(after, [keepAlive]);
});

test(
  "axios and an agent of the same mind leave options alone",
  skip(missing),
  async () => {
    const values = await second(new Agent({ keepAlive: true, keepAliveMsecs: 60_000 }));
    assertEquals(values, [[keepAlive], [keepAlive]]);
  },
);
