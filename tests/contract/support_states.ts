/**
 * How to bring a connection into each state, and the operations to call there. The table of results is in
 * `states_test.ts`.
 */

import { once } from "node:events";
import { connect as netConnect } from "node:net";
import {
  connect,
  getsockopt,
  SocketError,
  type TcpConnection,
  type TcpListener,
  TimeoutError,
  wrap,
} from "@holdfast/tcp";
import { overTls, patience, secure, sleep, until, within } from "./support.ts";

/** Both ends. `socket` is the one that is tested. */
export interface Ends {
  socket: TcpConnection;
  peer: TcpConnection;
}

const limits = { timeout: patience };
const one = () => new Uint8Array(1);
const ignore = (promise: Promise<unknown>): void => void promise.catch(() => {});
/** More bytes than the kernel takes. */
const flood = new Uint8Array(2 ** 24);
/**
 * Waits long enough for a packet over loopback, and for the runtime to notice it. A busy event loop may be late for
 * a single timer and for the packet alike, so it has to turn several times.
 */
async function seen(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await sleep(15);
}

/** Ways to bring a connection into a state. */
export const states: Record<string, (ends: Ends) => Promise<unknown> | void> = {
  "open": () => {},
  "bytes wait": async ({ peer }) => {
    await peer.write(new Uint8Array(3));
    await seen();
  },
  "we finished": ({ socket }) => socket.closeWrite(),
  "peer finished": async ({ peer }) => {
    await peer.closeWrite();
    await seen();
  },
  "peer finished, read": async ({ socket, peer }) => {
    await peer.closeWrite();
    await socket.read(one());
  },
  "peer finished after bytes": async ({ peer }) => {
    await peer.write(new Uint8Array(3));
    await peer.closeWrite();
    await seen();
  },
  "peer finished and reset": async ({ peer }) => {
    await peer.closeWrite();
    await seen();
    peer.reset();
    await seen();
  },
  "peer finished and reset, read": async ({ socket, peer }) => {
    await peer.write(new Uint8Array(3));
    await peer.closeWrite();
    await seen();
    peer.reset();
    await seen();
    await socket.read(new Uint8Array(9));
  },
  "both finished, we first": async ({ socket, peer }) => {
    await socket.closeWrite();
    await peer.read(one());
    await peer.closeWrite();
    await seen();
  },
  "both finished, we first, read": async ({ socket, peer }) => {
    await socket.closeWrite();
    await peer.closeWrite();
    await socket.read(one());
    await seen();
  },
  "both finished, we last, read": async ({ socket, peer }) => {
    await peer.closeWrite();
    await socket.read(one());
    await socket.closeWrite();
    await seen();
  },
  "peer reset": async ({ peer }) => {
    peer.reset();
    await seen();
  },
  "peer reset, read": async ({ socket, peer }) => {
    peer.reset();
    await socket.read(one()).catch(() => {});
    await seen();
  },
  "peer reset, written": async ({ socket, peer }) => {
    peer.reset();
    await seen();
    await socket.write(one()).catch(() => {});
    await seen();
  },
  "peer reset after we finished": async ({ socket, peer }) => {
    await socket.closeWrite();
    await peer.read(one());
    peer.reset();
    await seen();
  },
  "read timed out": async ({ socket }) => {
    await socket.read(one(), { timeout: 1 }).catch(() => {});
  },
  "write timed out": async ({ socket }) => {
    // The kernel makes room for some more, on a busy machine only after a while.
    for (let quiet = 0; quiet < 3; quiet++) {
      const before = socket.bytesWritten;
      await socket.write(flood, { timeout: 100 }).catch(() => {});
      await seen();
      if (before !== socket.bytesWritten) quiet = 0;
    }
  },
  "read waits": ({ socket }) => ignore(socket.read(one())),
  "write waits": async ({ socket }) => {
    ignore(socket.write(flood));
    await seen();
  },
  "closeWrite waits": async ({ socket }) => {
    ignore(socket.write(flood, { timeout: null }));
    socket.setTimeouts({ write: 2_000 });
    ignore(socket.closeWrite());
    await seen();
  },
  "closed": ({ socket }) => socket.close(),
  "reset": ({ socket }) => socket.reset(),
  "closed by somebody else": async ({ socket }) => {
    const { terminate, destroy, close } = socket.native as Record<string, (() => void) | undefined>;
    (terminate ?? destroy ?? close)!.call(socket.native);
    await seen();
  },
};

/** A limit that only a call that waits for the peer exceeds. */
const short = { timeout: 150 };
/** The same for a call that may need several turns of the event loop, which a busy machine delays. */
const longer = { write: 600 };

/** What can be done to a connection. */
export const operations: Record<string, (ends: Ends) => unknown> = {
  "read": ({ socket }) => socket.read(new Uint8Array(9), short),
  "read none": ({ socket }) => socket.read(new Uint8Array(0), short),
  "write": ({ socket }) => socket.write(one(), short),
  "write none": ({ socket }) => socket.write(new Uint8Array(0), short),
  "write, close": ({ socket }) => {
    const written = socket.write(one(), short);
    socket.close();
    return written;
  },
  "closeWrite": ({ socket }) => {
    socket.setTimeouts(longer);
    return socket.closeWrite();
  },
  "closeWrite, close": ({ socket }) => {
    const finished = socket.closeWrite();
    socket.close();
    return finished;
  },
  "closeWrite, reset": ({ socket }) => {
    const finished = socket.closeWrite();
    socket.reset();
    return finished;
  },
  "closeWrite twice": async ({ socket }) => {
    socket.setTimeouts(longer);
    await socket.closeWrite();
    return await socket.closeWrite();
  },
  "closeWrite, then write": async ({ socket }) => {
    socket.setTimeouts(longer);
    await socket.closeWrite().catch(() => {});
    return await socket.write(one());
  },
  "close": ({ socket }) => socket.close(),
  "reset": ({ socket }) => socket.reset(),
  "dispose": ({ socket }) => socket[Symbol.asyncDispose](),
  "readable": async ({ socket }) => {
    socket.setTimeouts({ read: 150 });
    const reader = socket.readable.getReader();
    const { done, value } = await reader.read();
    return done ? "done" : value.length;
  },
  "writable": ({ socket }) => {
    socket.setTimeouts({ write: 150 });
    return socket.writable.getWriter().write(one());
  },
  "setTimeouts": ({ socket }) => socket.setTimeouts({ read: 5 }),
  "addresses": ({ socket }) => socket.localAddr.port > 0 && socket.remoteAddr.port > 0,
  "ref, unref": ({ socket }) => {
    socket.unref();
    socket.ref();
  },
  "setNoDelay": ({ socket }) => socket.setNoDelay(false),
  "setKeepAlive": ({ socket }) => socket.setKeepAlive(true),
  "setKeepAlive tuned": ({ socket }) =>
    socket.setKeepAlive({ idle: 5_000, interval: 2_000, count: 4 }),
  "setOptions": ({ socket }) => void socket.setOptions({ noDelay: false }),
  "getOptions": ({ socket }) => typeof socket.getOptions(),
  "tcpInfo": ({ socket }) => typeof socket.tcpInfo(),
  "getsockopt": ({ socket }) => getsockopt(socket, 6, 1).length,
  "wrap again": ({ socket }) => wrap(socket.native, limits),
};

/** The result as text: "ok", a value, or the error's code and call. */
async function outcomeOf(operation: () => unknown): Promise<string> {
  try {
    const value = await within(patience, Promise.resolve(operation()));
    return value === undefined ? "ok" : String(value);
  } catch (error) {
    if (error instanceof TimeoutError) return `late ${error.operation}`;
    if (error instanceof SocketError) return `${error.code} ${error.operation}`;
    return (error as Error).name;
  }
}

/** Whose end of a connection is looked at. Over TLS, runtimes do not tell `wrap` how a stream has ended. */
export const kinds: readonly ("dialled" | "accepted" | "wrapped" | "wrapped net.Socket")[] = [
  "dialled",
  "accepted",
  ...overTls ? [] : ["wrapped", "wrapped net.Socket"] as const,
];

/** Does `operation` in `state`, on a connection of its own. */
export async function outcome(
  listener: TcpListener,
  kind: typeof kinds[number],
  state: string,
  operation: string,
): Promise<string> {
  const { hostname, port } = listener.addr;
  using dialled = kind === "wrapped"
    ? wrap(await openNative(port, hostname), limits)
    : kind === "wrapped net.Socket"
    ? wrap(await openSocket(port, hostname), limits)
    : await connect({ hostname, port, ...limits, ...secure.connect });
  const { port: ours } = dialled.localAddr;
  await until(() => accepted.has(ours), "accepted");
  using other = accepted.get(ours)!;
  accepted.delete(ours);
  const ends = kind === "accepted"
    ? { socket: other, peer: dialled }
    : { socket: dialled, peer: other };
  await within(patience, Promise.resolve(states[state]!(ends)));
  return await outcomeOf(() => operations[operation]!(ends));
}

/** A socket as the runtime itself opens it. */
async function openNative(port: number, hostname: string): Promise<object> {
  const { Deno, Bun } = globalThis as unknown as Record<"Deno" | "Bun", Dials | undefined>;
  const own = Deno ?? Bun;
  if (own === undefined) return await openSocket(port, hostname);
  return await own.connect({ hostname, port, socket: { data() {} } });
}

async function openSocket(port: number, host: string): Promise<object> {
  const socket = netConnect({ port, host });
  await once(socket, "connect");
  return socket;
}

interface Dials {
  connect(options: object): Promise<object>;
}

const accepted = new Map<number, TcpConnection>();

/** Accepts the other ends until the listener is closed. */
export async function serve(listener: TcpListener): Promise<void> {
  for await (const peer of listener) accepted.set(peer.remoteAddr.port, peer);
}
