/**
 * Tries every feature once under whatever permissions this process has, and prints what happened.
 */

import {
  capabilities,
  connect,
  type ConnectOptions,
  evict,
  getOptions,
  guard,
  listen,
  type ListenOptions,
  sockets,
  type TcpConnection,
  tcpInfo,
  TimeoutError,
  UnsupportedOptionError,
} from "../../mod.ts";

const hostname = "127.0.0.1";

async function dial(
  options: Partial<ConnectOptions> = {},
  use: (socket: TcpConnection) => unknown = () => {},
): Promise<void> {
  using listener = await listen({ hostname, port: 0, timeout: 5_000 });
  const { port } = listener.addr;
  using socket = await connect({ hostname, port, timeout: 5_000, ...options });
  await use(socket);
}

async function bind(options: Partial<ListenOptions>): Promise<void> {
  (await listen({ hostname, port: 0, timeout: 5_000, ...options })).close();
}

async function timeOut(socket: TcpConnection): Promise<void> {
  const error = await socket.read(new Uint8Array(1), { timeout: 5 }).catch((error) => error);
  if (!(error instanceof TimeoutError)) throw error;
}

const features: Record<string, () => unknown> = {
  "`capabilities()`": capabilities,
  "`connect`, `listen`, timeouts": () => dial({}, timeOut),
  "`noDelay`, `keepAlive: true`": () => dial({ noDelay: false, keepAlive: true }),
  "`keepAlive: { idle }`, or with all its values": async () => {
    await dial({ keepAlive: { idle: 1_000 } });
    await dial({ keepAlive: { idle: 1_000, interval: 1_000, count: 3 } });
  },
  "all other options": () => dial({ userTimeout: 5_000 }),
  "`deadPeerTimeout`": () => dial({ deadPeerTimeout: 5_000 }),
  "`getOptions`, `tcpInfo`": () => dial({}, (socket) => [getOptions(socket), tcpInfo(socket)]),
  "`sockets`, `guard`, `evict`": () =>
    dial({}, ({ remoteAddr: { port } }) => {
      guard({ match: { remotePort: port }, userTimeout: 5_000 }).close();
      if (sockets({ remotePort: port }).length !== 1) throw new Error("not listed");
      if (evict({ remotePort: port }).length !== 1) throw new Error("not ended");
    }),
  "`reset`": () => dial({}, (socket) => socket.reset()),
  "`listen`: `reusePort`, `backlog`": () => bind({ reusePort: true, backlog: 16 }),
  "`listen`: `ipv6Only`": () => bind({ hostname: "::1", ipv6Only: true }),
  "`listen`: `reuseAddress: false`": () => bind({ reuseAddress: false }),
};

const results: Record<string, string> = {};
for (const [name, attempt] of Object.entries(features)) {
  try {
    await attempt();
    results[name] = "yes";
  } catch (error) {
    if (error instanceof UnsupportedOptionError) results[name] = error.remedy ?? error.reason;
    else {results[name] = (error as Error).message.includes("--allow-net")
        ? "--allow-net"
        : `${error}`;}
  }
}
console.log(JSON.stringify(results));
