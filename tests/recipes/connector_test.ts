/** undici's requests over sockets that our connector has dialled. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { type Connector, connector } from "@holdfast/tcp";
import { hangingAddress, patience, socketsOf, within } from "../contract/support.ts";
import { notLinux } from "../contract/support_listen.ts";
import { ca } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";
import { webServer } from "../support/web.ts";

const clients = process.env.HOLDFAST_CLIENTS;
// Bun always uses its own undici, which has no connectors.
const noUndici = clients === undefined
  ? "the clients are not installed"
  : "Bun" in globalThis
  ? "this runtime brings an undici of its own, without connectors"
  : undefined;

interface Undici {
  Agent: new (options: { connect: Connector }) => { close(): Promise<void> };
  fetch(url: string, options: { dispatcher: object }): Promise<Response>;
}

const undici = () => createRequire(join(clients!, "package.json"))("undici") as Undici;

for (const secure of [false, true]) {
  test(`connector: undici over ${secure ? "https" : "http"}`, {
    ...skip(notLinux ?? noUndici),
  }, async () => {
    using server = await webServer(undefined, secure);
    const { port } = server;
    const ports: number[] = [];
    const dial = connector({ timeout: patience, keepAlive: { idle: 61_000 } });
    const { Agent, fetch } = undici();
    const dispatcher = new Agent({
      connect: (target, done) =>
        dial({ ...target, ...secure && { ca } }, (...result) => {
          if (result[0] === null) ports.push((result[1] as Socket).localPort!);
          done!(...result);
        }),
    });
    const url = `${secure ? "https" : "http"}://localhost:${port}/`;
    for (let i = 0; i < 3; i++) {
      const response = await within(patience, fetch(url, { dispatcher }));
      assertEquals(await response.text(), "hello");
    }
    assert(ports.length >= 1, "undici dialled by itself");
    const [row] = socketsOf(ports[0]!, "ESTABLISHED").filter((row) => row.localPort === ports[0]);
    assertEquals(row!.timer, 2);
    await dispatcher.close();
  });
}

test("connector: undici is told of the limit", skip(notLinux ?? noUndici), async () => {
  using hanging = await hangingAddress();
  const { Agent, fetch } = undici();
  const dispatcher = new Agent({ connect: connector({ timeout: 100 }) });
  const request = fetch(`http://127.0.0.1:${hanging.port}/`, { dispatcher });
  const error = await within(patience, request.then(() => undefined, (error) => error));
  assertMatch(String(error.cause), /^TimeoutError: Cannot connect to .* within 100 ms/);
  await dispatcher.close();
});
