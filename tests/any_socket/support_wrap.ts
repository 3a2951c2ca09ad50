/** Open connections that `wrap` takes, both ends of each. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { type TcpConnection, wrap } from "@holdfast/tcp";
import { patience } from "../contract/support.ts";
import { type Kind, kinds } from "../contract/support_native.ts";
import { ca, certificate, privateKey } from "../support/certificate.ts";

/** Both ends, not wrapped yet. */
export interface NativePair extends Disposable {
  name: string;
  dialled: object;
  accepted: object;
}

export type Opener = [name: string, open: () => Promise<NativePair>];

/** Both ends, wrapped. */
export interface WrappedPair extends Disposable {
  dialled: TcpConnection;
  accepted: TcpConnection;
}

export async function wrapped(open: Opener[1], timeout: number = patience): Promise<WrappedPair> {
  const { dialled, accepted, [Symbol.dispose]: dispose } = await open();
  const pair = [wrap(dialled, { timeout }), wrap(accepted, { timeout })] as const;
  return {
    dialled: pair[0],
    accepted: pair[1],
    [Symbol.dispose]() {
      for (const one of pair) one.close();
      dispose();
    },
  };
}

function ends([name, open]: Kind): Opener {
  return [name, async () => {
    const sockets = await open();
    const [dialled, accepted] = sockets.all;
    return {
      name,
      dialled: dialled!.socket,
      accepted: accepted!.socket,
      [Symbol.dispose]: () => sockets[Symbol.dispose](),
    };
  }];
}

interface BunNet {
  connect(options: object): Promise<object & { terminate(): void }>;
}

/** `node:tls` is at the other end, since a TLS socket accepted by `Bun.listen` cannot be wrapped. */
function bunTls(Bun: BunNet): Opener {
  const name = "Bun.connect with TLS";
  return [name, async () => {
    const server = tls.createServer({ key: privateKey, cert: certificate }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const opened = Promise.withResolvers<void>();
    const [dialled, [accepted]] = await Promise.all([
      Bun.connect({
        hostname: "localhost",
        port,
        // Otherwise Bun closes it when the peer finishes.
        allowHalfOpen: true,
        tls: { ca },
        socket: { data() {}, handshake: () => opened.resolve() },
      }),
      once(server, "secureConnection"),
      opened.promise,
    ]);
    return {
      name,
      dialled,
      accepted,
      [Symbol.dispose]() {
        dialled.terminate();
        accepted.destroy();
        server.close();
      },
    };
  }];
}

interface Closable {
  close(): void;
}

interface DenoNet {
  listenTls(options: object): Closable & {
    addr: { port: number };
    accept(): Promise<Closable & { handshake(): Promise<unknown> }>;
  };
  connect(options: object): Promise<object>;
  startTls(conn: object, options: object): Promise<Closable & { handshake(): Promise<unknown> }>;
}

/** A connection that became TLS. */
function startTls(Deno: DenoNet): Opener {
  const name = "Deno.startTls";
  return [name, async () => {
    const hostname = "127.0.0.1";
    const listener = Deno.listenTls({ hostname, port: 0, key: privateKey, cert: certificate });
    const [plain, accepted] = await Promise.all([
      Deno.connect({ hostname, port: listener.addr.port }),
      listener.accept(),
    ]);
    const dialled = await Deno.startTls(plain, { hostname: "localhost", caCerts: [ca] });
    await Promise.all([dialled.handshake(), accepted.handshake()]);
    return {
      name,
      dialled,
      accepted,
      [Symbol.dispose]() {
        for (const one of [dialled, accepted, listener]) {
          try {
            one.close();
          } catch {
            // The test has closed it.
          }
        }
      },
    };
  }];
}

const { Bun, Deno } = globalThis as unknown as { Bun?: BunNet; Deno?: DenoNet };
const refused = "Bun.connect with TLS";

/** Every kind of connection of this runtime of which both ends can be wrapped. */
export const openers: Opener[] = [
  ...kinds.filter(([name]) => !/^http|serve/.test(name) && name !== refused).map(ends),
  ...(Bun === undefined ? [] : [bunTls(Bun)]),
  ...(Deno === undefined ? [] : [startTls(Deno)]),
];

/** Kinds whose accepted sockets are refused. */
export const refusedKinds: Kind[] = kinds.filter(([name]) => name === refused);

/** Whether the runtime keeps what has arrived until it is read. */
export function keepsData(name: string): boolean {
  return !name.startsWith("Bun.");
}
