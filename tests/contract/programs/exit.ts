/**
 * Leaves sockets open in the way that its argument names, then has nothing more to do. When the process
 * ends, it prints how many ms that took.
 */

import { writeSync } from "node:fs";
import { once } from "node:events";
import { type AddressInfo, connect as netConnect, createServer } from "node:net";
import process from "node:process";
import { connect, Deadline, listen, type TcpConnection, TimeoutError, wrap } from "@holdfast/tcp";

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

/** Prints that a call has timed out, and closes what the runtime may still be sending. */
function told(call: Promise<unknown>, socket?: TcpConnection): void {
  call.catch((error) => {
    writeSync(1, `${error instanceof TimeoutError}\n`);
    socket?.close();
  });
}

/** A connection of `node:net`, whose other end and listener do not keep the process alive. */
async function openNative() {
  const server = createServer((socket) => void socket.unref()).listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  const native = netConnect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(native, "connect");
  return { native };
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
    // Each call leaves an alarm in the timer queue, which the next call uses.
    await client.write(new Uint8Array(1));
    await server.read(new Uint8Array(1), { timeout: hour });
    for (const one of [listener, client, server]) one.close();
  },

  async unref() {
    const { listener, client, server } = await open();
    for (const one of [listener, client, server]) one.unref();
    wait(client);
  },

  /** The calls come before `unref`. */
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

  /** A connection that is open, never used, and not unref'd. */
  async idle() {
    await open();
  },

  /** Connections come, but `accept` is not called. */
  async idleListening() {
    const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: hour });
    const { hostname, port } = listener.addr;
    await connect({ hostname, port, timeout: hour });
    await connect({ hostname, port, timeout: hour });
  },

  /** A connection that was used: the runtime may still be reading, or waiting for clients. */
  async idleAfterCalls() {
    const { client, server } = await open();
    for (let i = 0; i < 30; i++) {
      await client.write(new Uint8Array(9));
      await server.read(new Uint8Array(9));
      await server.write(new Uint8Array(100_000));
      for (let size = 0; size < 100_000;) {
        size += await client.read(new Uint8Array(65_536)) ?? 0;
      }
    }
  },

  /** Calls that ended before the runtime's own call did. */
  async idleAfterTimeouts() {
    const { listener, client } = await open();
    await Promise.allSettled([
      client.read(new Uint8Array(1), { timeout: 20 }),
      client.read(new Uint8Array(1), { deadline: Deadline.after(30) }),
      listener.accept({ timeout: 20 }),
      listener.accept({ signal: AbortSignal.timeout(30) }),
    ]);
  },

  async idleAfterStreams() {
    const { client, server } = await open();
    const reader = client.readable.getReader();
    const writer = server.writable.getWriter();
    await writer.write(new Uint8Array(3));
    await reader.read();
    reader.releaseLock();
  },

  /** A chunk that the stream's reader did not wait for goes to a read, while the runtime reads on. */
  async idleAfterLeaving() {
    const { client, server } = await open();
    const reader = client.readable.getReader();
    reader.read().catch(() => {});
    // By then the stream has asked the connection.
    await new Promise((resolve) => setTimeout(resolve, 20));
    reader.releaseLock();
    const reading = client.read(new Uint8Array(9));
    await server.write(new Uint8Array(3));
    await reading;
  },

  /** A connection that is not closed. */
  async idleAfterReset() {
    const { client, server } = await open();
    const reading = client.read(new Uint8Array(1)).catch(() => {});
    server.close();
    await reading;
  },

  async idleWrapped() {
    const { native } = await openNative();
    wrap(native, { timeout: hour });
  },

  async pendingWrapped() {
    const { native } = await openNative();
    const socket = wrap(native, { timeout: 600 });
    told(socket.read(new Uint8Array(1)));
  },

  async pendingWrite() {
    const { client } = await open();
    told(client.write(new Uint8Array(2 ** 25), { timeout: 600 }), client);
  },

  async pendingCloseWrite() {
    const { client } = await open();
    client.setTimeouts({ write: 600 });
    client.write(new Uint8Array(2 ** 25), { timeout: null }).catch(() => {});
    told(client.closeWrite(), client);
  },

  async pendingStream() {
    const { client } = await open();
    client.setTimeouts({ read: 600 });
    told(client.readable.getReader().read());
  },

  async pendingIteration() {
    const timeout = { accept: 600, read: hour, write: hour };
    const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout });
    told(listener[Symbol.asyncIterator]().next());
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

  /** The same after `unref` and `ref`. */
  async pendingAgain() {
    const { listener, client, server } = await open();
    for (const one of [listener, client, server]) one.unref();
    client.ref();
    client.read(new Uint8Array(1), { timeout: 600 }).catch((error) => {
      writeSync(1, `${error instanceof TimeoutError}\n`);
      client.close();
    });
  },

  /** The same with a pending `accept`. */
  async pendingAccept() {
    const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: hour });
    listener.accept({ timeout: 600 }).catch((error) => {
      writeSync(1, `${error instanceof TimeoutError}\n`);
      listener.close();
    });
  },

  /** The same with an attempt to connect. */
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
