/**
 * What is tested of dialling, in the network of network.ts. The cases run one after another, in the
 * namespace of this side.
 */

import assert, { deepEqual as assertEquals } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lookup } from "node:dns/promises";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { release } from "node:os";
import { join } from "node:path";
import process from "node:process";
import {
  connect,
  type ConnectOptions,
  type Connector,
  connector,
  type ConnectorTarget,
  constants,
  listen,
  setsockopt,
  SocketError,
  type TcpConnection,
} from "@holdfast/tcp";
import {
  openDescriptors,
  patience,
  sleep,
  socketsOf,
  spawnRuntime,
  testFile,
  until,
} from "../contract/support.ts";
import { ca } from "../support/certificate.ts";
import { asleep, awaken, hosts, lull, ours, peer, unreachable } from "./network.ts";
import { greeting, type Seen, synOf } from "./seen.ts";

/** One test. */
export interface Case {
  readonly name: string;
  /** Why it cannot run here. */
  readonly skipped?: string | undefined;
  /** Gets the name of the peer's namespace. */
  run(there: string): Promise<void>;
}

const timeout = patience;
/** Ports of the peer: it says at once what it has seen; nobody listens. */
const tells = 7001;
const closed = 7999;

const dial = (hostname: string, options: Partial<ConnectOptions> = {}) =>
  connect({ hostname, port: tells, timeout, ...options });

/** What the peer has seen of a connection with these options. */
async function seen(hostname: string, options: Partial<ConnectOptions> = {}): Promise<Seen> {
  using socket = await dial(hostname, options);
  return await greeting(socket);
}

/** The error of a promise that has to reject with a SocketError. */
async function errorOf(promise: Promise<unknown>): Promise<SocketError> {
  const error = await promise.then(() => "no error", (error: unknown) => error);
  assert(error instanceof SocketError, String(error));
  return error;
}

async function assertCode(promise: Promise<unknown>, code: string): Promise<void> {
  assertEquals((await errorOf(promise)).code, code);
}

// Where a connection comes from

const { cable0, cable1 } = ours;

const sources: Case[] = [
  {
    name: "localAddress: the peer sees it, IPv4 and IPv6",
    async run() {
      assertEquals((await seen(peer.first)).from, cable0.first);
      for (const localAddress of [cable0.first, cable0.second]) {
        assertEquals((await seen(peer.first, { localAddress })).from, localAddress);
      }
      for (const localAddress of cable0.v6) {
        assertEquals((await seen(peer.v6[0], { localAddress })).from, localAddress);
      }
    },
  },
  {
    name: "interface: the packets go through it, and have its address",
    async run() {
      for (const [name, { first }] of Object.entries(ours)) {
        assertEquals((await seen(peer.first, { interface: name })).from, first);
      }
    },
  },
  {
    name: "interface and localAddress together",
    async run() {
      for (const [name, { second }] of Object.entries(ours)) {
        const before = sentBytes(name);
        using socket = await dial(peer.first, { interface: name, localAddress: second });
        assertEquals((await greeting(socket)).from, second);
        const size = 100_000;
        await socket.write(new Uint8Array(size));
        await socket.end();
        assert(sentBytes(name) - before > size, `the bytes did not leave through ${name}`);
      }
    },
  },
  {
    name: "interface: what it does not lead to cannot be reached through it",
    async run() {
      assertEquals((await seen(peer.onlyCable0, { interface: "cable0" })).to, peer.onlyCable0);
      await assertCode(dial(peer.onlyCable0, { interface: "cable1" }), "EHOSTUNREACH");
      await assertCode(dial(peer.v6[0], { interface: "cable1" }), "ENETUNREACH");
      assertEquals(socketsOf(tells, "SYN-SENT").length, 0);
    },
  },
  {
    name: "localAddress: EADDRNOTAVAIL if no interface has it, or the interface cannot use it",
    async run() {
      const before = openDescriptors();
      await assertCode(dial(peer.first, { localAddress: "10.77.0.99" }), "EADDRNOTAVAIL");
      await assertCode(dial(peer.v6[0], { localAddress: "2001:db8:77::99" }), "EADDRNOTAVAIL");
      assertEquals(openDescriptors(), before);
    },
  },
  {
    name: "localPort: EADDRINUSE where a listener has it, but not on the other interface",
    async run() {
      using listener = await listen({ hostname: cable0.first, port: 0, timeout });
      const localPort = listener.addr.port;
      const localAddress = cable0.first;
      await assertCode(dial(peer.first, { localAddress, localPort }), "EADDRINUSE");
      const other = { interface: "cable1", localAddress: cable1.first, localPort };
      const { from, port } = await seen(peer.first, other);
      assertEquals([from, port], [cable1.first, localPort]);
    },
  },
  {
    name: "localPort: once to each peer, the second time EADDRNOTAVAIL",
    async run() {
      const from = { localAddress: cable0.first, localPort: 45_678 };
      using one = await dial(peer.first, from);
      using two = await dial(peer.second, from);
      assertEquals([one.localAddr.port, two.localAddr.port], [45_678, 45_678]);
      await assertCode(dial(peer.first, from), "EADDRNOTAVAIL");
    },
  },
  {
    name: "interface: EPERM without CAP_NET_RAW, where the kernel wants it",
    skipped: spawnSync("setpriv", ["--version"]).status === 0
      ? undefined
      : "needs setpriv (util-linux)",
    async run() {
      // What the kernel checks is the capability: a root user without it is as unprivileged as others.
      const unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
      const outcomes = async (through: string[]) => {
        const script = testFile("../dialling/programs/interface.ts");
        const { output } = await spawnRuntime(script, [], 2 * patience, { through });
        return JSON.parse(output) as unknown;
      };
      const [major = 0, minor = 0] = release().split(".").map(Number);
      // From Linux 5.7 on only a socket that is bound to an interface already needs the capability.
      const asksForLess = major > 5 || major === 5 && minor >= 7;
      assertEquals(await outcomes([]), { bound: cable1.first, boundAgain: cable1.first });
      assertEquals(await outcomes(unprivileged), {
        bound: asksForLess ? cable1.first : "EPERM",
        boundAgain: "EPERM",
      });
    },
  },
  {
    name: "localAddress: as many connections to each peer as there are ports",
    async run() {
      const file = "/proc/sys/net/ipv4/ip_local_port_range";
      const range = readFileSync(file, "utf8");
      const ports = 8;
      writeFileSync(file, `40000 ${40_000 + ports - 1}`);
      const sockets: TcpConnection[] = [];
      try {
        for (
          const [localAddress, ...peers] of [
            [cable0.second, peer.first, peer.second],
            [cable0.v6[1], ...peer.v6],
          ] as const
        ) {
          for (const hostname of peers) {
            for (let i = 0; i < ports; i++) sockets.push(await dial(hostname, { localAddress }));
            await assertCode(dial(hostname, { localAddress }), "EADDRNOTAVAIL");
          }
        }
        const used = new Set(sockets.map(({ localAddr }) => localAddr.port));
        assertEquals([sockets.length, used.size], [4 * ports, ports]);
      } finally {
        writeFileSync(file, range);
        for (const socket of sockets) socket.reset();
      }
    },
  },
];

/** How many bytes have left through an interface. */
function sentBytes(name: string): number {
  const [line = ""] = readFileSync("/proc/net/dev", "utf8").split("\n")
    .filter((line) => line.trim().startsWith(`${name}:`));
  return Number(line.split(":")[1]!.trim().split(/\s+/)[8]);
}

// Options before the handshake

const addresses = [peer.first, peer.v6[0]];

const beforeHandshake: Case[] = [
  {
    name: "before the handshake: the SYN has the scale of the receive buffer",
    async run() {
      for (const hostname of addresses) {
        const plain = synOf(await seen(hostname));
        const small = synOf(await seen(hostname, { receiveBufferSize: 16_384 }));
        assert(plain.windowScale! > 0, `${plain.windowScale}`);
        // 16,384 doubled is less than 65,536, so this window needs no scale.
        assertEquals(small.windowScale, 0);
      }
    },
  },
  {
    name: "before the handshake: the SYN has the type of service and the hop limit",
    async run() {
      for (const hostname of addresses) {
        const plain = synOf(await seen(hostname));
        assertEquals([plain.typeOfService, plain.hopLimit], [0, 64]);
        const set = synOf(await seen(hostname, { typeOfService: 0x48, hopLimit: 9 }));
        assertEquals([set.typeOfService, set.hopLimit], [0x48, 9]);
      }
    },
  },
  {
    name: "before the handshake: the SYN has the segment size that prepare sets",
    async run() {
      const { IPPROTO_TCP, TCP_MAXSEG } = constants;
      for (const hostname of addresses) {
        assert(synOf(await seen(hostname)).segmentSize! > 1_400);
        const prepare = (socket: { fd: number }) =>
          void setsockopt(socket, IPPROTO_TCP!, TCP_MAXSEG!, 700);
        assertEquals(synOf(await seen(hostname, { prepare })).segmentSize, 700);
      }
    },
  },
];

// Several addresses

/** Dials a name in one of the ways in which clients do. Resolves to what the peer has seen. */
type Reach = (name: string, port: number) => Promise<Seen>;

const clients = process.env["HOLDFAST_CLIENTS"];

interface Undici {
  Agent: new (options: { connect: Connector }) => object;
  fetch(url: string, options: { dispatcher: object }): Promise<Response>;
}

async function throughUndici(name: string, port: number, secure: boolean): Promise<Seen> {
  const { Agent, fetch } = createRequire(join(clients!, "package.json"))("undici") as Undici;
  const dialled = connector({ timeout });
  const certified = { ca, servername: "localhost" };
  const dispatcher = new Agent({
    connect: (target, done) => dialled({ ...target, ...secure && certified }, done),
  });
  const url = `${secure ? "https" : "http"}://${name}:${port}/`;
  const response = await fetch(url, { dispatcher }).catch(({ cause }) => Promise.reject(cause));
  return JSON.parse(await response.text()) as Seen;
}

function throughAgent(host: string, port: number, secure: boolean): Promise<Seen> {
  const dialled = connector({ timeout });
  const agent = new (secure ? https : http).Agent();
  Object.assign(agent, {
    createConnection: (target: ConnectorTarget, done: Parameters<Connector>[1]) =>
      dialled({ ...target, protocol: secure ? "https:" : "http:" }, done),
  });
  const certified = { ca, servername: "localhost" };
  return new Promise((resolve, reject) => {
    const options = { host, port, agent, ...secure && certified };
    const request = (secure ? https : http).get(options, (response) => {
      let text = "";
      response.on("data", (data) => text += data);
      response.on("end", () => {
        agent.destroy();
        resolve(JSON.parse(text) as Seen);
      });
    });
    request.on("error", reject);
  });
}

interface Way {
  readonly name: string;
  /** The peer's port. */
  readonly port: number;
  readonly skipped?: string | undefined;
  readonly reach: Reach;
}

const noUndici = clients === undefined
  ? "the clients are not installed"
  : "Bun" in globalThis
  ? "this runtime brings an undici of its own, without connectors"
  : undefined;

const ways: Way[] = [
  { name: "connect", port: tells, reach: (hostname, port) => seen(hostname, { port }) },
  ...[false, true].flatMap((secure): Way[] => {
    const protocol = secure ? "https" : "http";
    const port = secure ? 7443 : 7080;
    return [
      { name: `${protocol}.Agent`, port, reach: (...to) => throughAgent(...to, secure) },
      {
        name: `undici over ${protocol}`,
        port,
        skipped: noUndici,
        reach: (...to) => throughUndici(...to, secure),
      },
    ];
  }),
];

/** The time of the attempt, after asserting that the addresses come in the order that the case needs. */
async function timed(name: string, { reach, port }: Way): Promise<{ to: string; ms: number }> {
  const resolved = await lookup(name, { all: true, verbatim: true });
  assertEquals(resolved.map(({ address }) => address), hosts[name]);
  const start = performance.now();
  const { to } = await reach(name, port);
  return { to, ms: performance.now() - start };
}

const several: Case[] = ways.flatMap((way): Case[] => {
  const { name, port, skipped, reach } = way;
  // Bun's node:net takes every failure for a refusal (https://github.com/oven-sh/bun/pull/37093). Can go
  // when it keeps the error.
  const saysUnreachable = "Bun" in globalThis && name !== "connect"
    ? /^ECONNREFUSED$/
    : /^E(NET|HOST)UNREACH$/;
  const each = [
    {
      name: `dead IPv6 and live IPv4, ${name}: silent`,
      async run() {
        const { to, ms } = await timed("silent6.test", way);
        assertEquals(to, peer.first);
        assert(ms >= 240 && ms < timeout, `${ms} ms`);
      },
    },
    {
      name: `dead IPv6 and live IPv4, ${name}: unreachable`,
      async run() {
        const { to, ms } = await timed("unreachable6.test", way);
        assertEquals(to, peer.first);
        assert(ms < timeout, `${ms} ms`);
      },
    },
    {
      name: `all addresses fail, ${name}: one error, which has one for each address`,
      async run() {
        const start = performance.now();
        const error = await errorOf(reach("nowhere.test", closed));
        const ms = performance.now() - start;
        const { code, operation, address, errors } = error;
        assertEquals([code, operation], ["ECONNREFUSED", "connect"]);
        assertEquals(address, { hostname: "nowhere.test", port: closed });
        // They come in the order in which the attempts have ended.
        const codes = new Map(errors.map(({ address, code }) => [address!.hostname, code]));
        assertEquals([...codes.keys()].sort(), [...hosts["nowhere.test"]!].sort());
        assertEquals(codes.get(peer.first), "ECONNREFUSED");
        for (const unreached of Object.values(unreachable)) {
          assert.match(codes.get(unreached)!, saysUnreachable);
        }
        for (const { elapsed, operation, address } of errors) {
          assertEquals([operation, address!.port], ["connect", closed]);
          assert(elapsed! > 0 && elapsed! <= ms, `${elapsed} of ${ms} ms`);
        }
      },
    },
  ];
  const slow = [
    {
      name: `a slow first address, ${name}: the second one wins, the first is called off`,
      async run(there: string) {
        const before = openDescriptors();
        const { to, ms } = await timed("slow.test", way);
        assertEquals(to, peer.first);
        assert(ms >= 240, `${ms} ms`);
        const dialling = () => socketsOf(port, "SYN-SENT").length;
        await until(() => dialling() === 0, "the first attempt is over", 2_000);
        // An attempt that went on would send a second SYN after a second, and be answered.
        awaken(there, asleep[0]);
        await sleep(1_000);
        lull(there, asleep[0]);
        await until(() => openDescriptors() <= before, "no descriptor is left");
      },
    },
    {
      name: `a slow first address, ${name}: it wins if the second one is dead`,
      async run(there: string) {
        const waking = sleep(500).then(() => awaken(there, asleep[1]));
        const { to, ms } = await timed("slow-but-only.test", way);
        await waking;
        lull(there, asleep[1]);
        assertEquals(to, asleep[1]);
        assert(ms >= 500 && ms < timeout, `${ms} ms`);
      },
    },
  ];
  // TLS comes after the race, and changes nothing of it.
  const all = name.includes("https") ? each : [...each, ...slow];
  return all.map((one) => ({ ...one, skipped }));
});

export const cases: readonly Case[] = [...sources, ...beforeHandshake, ...several];
