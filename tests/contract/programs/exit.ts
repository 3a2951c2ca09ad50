/**
 * Leaves sockets behind in the way its argument names, then has nothing more to do. At the end of
 * the process it prints how many ms passed until then.
 *
 * @module
 */

import { writeSync } from "node:fs";
import process from "node:process";
import { connect, Deadline, listen, type TcpConnection, TimeoutError } from "@holdfast/tcp";

const hour = 3_600_000;

async function open() {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: hour });
  const { hostname, port } = listener.addr;
  const [client, server] = await Promise.all([
    connect({ hostname, port, timeout: hour }),
    listener.accept(),
  ]);
  return { listener, client, server };
}

/** Calls that end in an hour. They must never settle before the process ends. */
function wait(client: TcpConnection): void {
  const late = (outcome: unknown) => writeSync(1, `settled: ${outcome}\n`);
  client.read(new Uint8Array(1)).then(late, late);
  client.read(new Uint8Array(1), { deadline: Deadline.after(hour) }).then(late, late);
}

const ways: Record<string, () => Promise<void>> = {
  async closed() {
    const { listener, client, server } = await open();
    listener.accept().catch(() => {});
    client.read(new Uint8Array(1)).catch(() => {});
    client.write(new Uint8Array(2 ** 25)).catch(() => {});
    for (const one of [listener, client, server]) one.close();
  },

  async closedAfterUse() {
    const { listener, client, server } = await open();
    // Each leaves an alarm in the timer queue for the next call to find.
    await client.write(new Uint8Array(1));
    await server.read(new Uint8Array(1), { timeout: hour });
    for (const one of [listener, client, server]) one.close();
  },

  async unref() {
    const { listener, client, server } = await open();
    for (const one of [listener, client, server]) one.unref();
    wait(client);
  },

  /** The other way round: the calls first. */
  async unrefLater() {
    const { listener, client, server } = await open();
    listener.accept().catch(() => {});
    wait(client);
    await Promise.resolve();
    for (const one of [listener, client, server]) one.unref();
  },

  async idleListener() {
    const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: hour });
    listener.unref();
    listener.accept().catch(() => {});
  },

  /** A pending read of a connection that is not unref'd keeps the process alive to its timeout. */
  async pending() {
    const { listener, client, server } = await open();
    listener.unref();
    server.unref();
    client.read(new Uint8Array(1), { timeout: 600 }).catch((error) => {
      writeSync(1, `${error instanceof TimeoutError}\n`);
      client.close();
    });
  },

  /** Likewise after unref and ref. */
  async pendingAgain() {
    const { listener, client, server } = await open();
    for (const one of [listener, client, server]) one.unref();
    client.ref();
    client.read(new Uint8Array(1), { timeout: 600 }).catch((error) => {
      writeSync(1, `${error instanceof TimeoutError}\n`);
      client.close();
    });
  },

  /** And a pending accept. */
  async pendingAccept() {
    const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: hour });
    listener.accept({ timeout: 600 }).catch((error) => {
      writeSync(1, `${error instanceof TimeoutError}\n`);
      listener.close();
    });
  },

  /** And an attempt to connect. */
  async pendingConnect() {
    const [, , , hostname, port] = process.argv;
    await connect({ hostname, port: Number(port), timeout: 600 }).catch((error) => {
      writeSync(1, `${error instanceof TimeoutError}\n`);
    });
  },
};

ways[process.argv[2]!]!().then(() => {
  const done = performance.now();
  process.on("exit", () => writeSync(1, `${performance.now() - done}\n`));
});
