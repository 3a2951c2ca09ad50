/**
 * The other end of every measurement, in a process of its own. It runs under Bun for all three runtimes,
 * and prints its ports as JSON.
 */

import { Buffer } from "node:buffer";
import { setOptions } from "../../mod.ts";
import { certificate, privateKey } from "../../tests/support/certificate.ts";
import { round } from "./peer.ts";
import { Bun, type Handlers, type Listener, type Socket as BunSocket } from "./raw/bun_api.ts";

type Socket = BunSocket<{ pending: Uint8Array | undefined; count: number }>;

const chunk = new Uint8Array(65_536).fill(7);
const one = new Uint8Array(1);

function serve(handlers: Handlers<Socket["data"]>, tls?: object): Listener {
  const open = (socket: Socket) => {
    socket.data = { pending: undefined, count: 0 };
  };
  // Resets at the end, so that nothing stays in TIME_WAIT. With tens of thousands of those, each connect
  // would search longer for a free port.
  const end = (socket: Socket) => socket.terminate();
  const socket = { open, end, ...handlers };
  return Bun.listen({ hostname: "127.0.0.1", port: 0, socket, ...tls && { tls } });
}

function send(socket: Socket, data: Uint8Array): boolean {
  const sent = socket.write(data);
  if (sent === data.length) return true;
  socket.data.pending = data.slice(Math.max(sent, 0));
  return false;
}

/** Sends back what it receives, and reads no more than the peer takes. */
const echoing: Handlers<Socket["data"]> = {
  data(socket, data) {
    const { pending } = socket.data;
    if (pending !== undefined) {
      socket.data.pending = Buffer.concat([pending, data]);
    } else if (!send(socket, data)) socket.pause();
  },
  drain(socket) {
    const { pending } = socket.data;
    if (pending === undefined) return;
    socket.data.pending = undefined;
    if (send(socket, pending)) socket.resume();
  },
};

/** Discards what it receives, and sends one byte for each complete round. */
const sinking: Handlers<Socket["data"]> = {
  data(socket, data) {
    socket.data.count += data.length;
    if (socket.data.count < round) return;
    socket.data.count -= round;
    socket.write(one);
  },
};

/** Sends a round for each byte that it receives. */
const pouring: Handlers<Socket["data"]> = {
  data(socket, data) {
    socket.data.count += data.length * round;
    pour(socket);
  },
  drain: pour,
};

function pour(socket: Socket): void {
  while (socket.data.count > 0) {
    const part = chunk.subarray(0, Math.min(chunk.length, socket.data.count));
    const sent = Math.max(socket.write(part), 0);
    socket.data.count -= sent;
    if (sent < part.length) return;
  }
}

/** Dials at the command `PORT COUNT`, and sends one byte when all are open. `0 0` resets them all. */
const dialled: Socket[] = [];
const control = serve({
  async data(socket, data) {
    const [port = 0, count = 0] = new TextDecoder().decode(data).split(" ").map(Number);
    if (port === 0) { for (const each of dialled.splice(0)) each.terminate(); }
    for (let left = count; left > 0; left -= 50) {
      const some = Array.from(
        { length: Math.min(left, 50) },
        () => Bun.connect<Socket["data"]>({ hostname: "127.0.0.1", port, socket: { data() {} } }),
      );
      dialled.push(...await Promise.all(some));
    }
    socket.write(one);
  },
});

/** Reads nothing and has a small window, so that most of what is written to it stays with the writer. */
const deaf = serve({ open: (socket) => socket.pause(), data() {} });
setOptions(deaf as object, { receiveBufferSize: 4_096 });

const tls = { cert: certificate, key: privateKey };
const all = Object.entries({
  echo: serve(echoing),
  sink: serve(sinking),
  source: serve(pouring),
  control,
  deaf,
  tlsEcho: serve(echoing, tls),
  tlsSink: serve(sinking, tls),
  tlsSource: serve(pouring, tls),
});
console.log(JSON.stringify(Object.fromEntries(all.map(([name, { port }]) => [name, port]))));
