/**
 * The same jobs in Go and Rust, a thread each, against the same other end: what a limit on every call
 * costs there and here. CPU time is that of the process which does the job.
 */

import process from "node:process";
import type { TcpConnection } from "../../../mod.ts";
import { Child } from "../child.ts";
import { dial, echoing, inLanes, listening } from "../operations.ts";
import { compare, type Costs, type Side, sleep } from "../measure.ts";
import { openReading } from "../memory.ts";
import type { Peer } from "../peer.ts";
import { cpuRow, type Row, row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Beside Go's net with deadlines and tokio with timeout, one thread each";

const size: [connections: number, trips: number] = [64, 100];
const lanes = 8;
const each = 125;
const idle = 5_000;

interface Program {
  child: Child;
  /** The port on which it accepts. */
  port: number;
}

type Programs = [name: string, program: Program][];

/** What the two limits are called. */
const limits: Record<string, string> = { Go: "Go, deadlines", tokio: "tokio, timeout" };

export async function run({ peer, raw, rounds, languages }: Tools): Promise<Row[]> {
  const programs: Programs = [];
  for (const [name, file] of Object.entries(languages)) {
    // It has one thread for all connections, as JavaScript does.
    const env = { GOMAXPROCS: "1" };
    const child = new Child([file, String(peer.ports.echo), String(peer.ports.sink)], env);
    programs.push([name, { child, port: Number(await child.line()) }]);
  }
  if (programs.length === 0) return [];
  try {
    // Memory is measured first, since what other jobs have freed would be used again and not show.
    const memory = await memoryRows(peer, programs);
    const how = { rounds: rounds(15), warmup: 4 };
    const bare = `${raw.style === "await" ? "raw" : "promises"}, no limit`;
    const echo = await compare({
      sides: [
        await echoing("holdfast", size, () => dial(peer.ports.echo)),
        await echoing("no limit", size, () => dial(peer.ports.echo, { timeout: null })),
        await echoing(bare, size, () => raw.dial(peer.ports.echo)),
        ...programs.flatMap(([name, program]) => [
          side(limits[name]!, program, "limited", size[1]),
          side(name, program, "bare", size[1]),
        ]),
      ],
      operations: size[0] * size[1],
    }, how);
    const connect = await compare({
      sides: [
        {
          name: "connect, holdfast",
          run: () => inLanes([lanes, each], () => dialClose(peer.ports.sink)),
        },
        ...programs.map(([name, program]) => side(`connect, ${name}`, program, "connect", each)),
      ],
      operations: lanes * each,
    }, how);
    const accept = await compare(await accepting(peer, programs), how);
    const names = programs.map(([name]) => name);
    return [
      ...names.map((name) => cpuRow(echo, ["holdfast", limits[name]!])),
      cpuRow(echo, ["holdfast", bare]),
      ...names.map((name) => cpuRow(echo, [limits[name]!, name])),
      cpuRow(echo, ["holdfast", "no limit"]),
      ...names.map((name) => priceRow(echo, ["a limit, holdfast", "no limit"], name)),
      ...names.map((name) => priceRow(echo, ["holdfast beside raw", bare], name)),
      ...names.map((name) => cpuRow(connect, ["connect, holdfast", `connect, ${name}`])),
      ...names.map((name) => cpuRow(accept, ["accept, holdfast", `accept, ${name}`])),
      ...memory,
    ];
  } finally {
    for (const [, { child }] of programs) child.stop();
  }
}

function side(name: string, { child }: Program, command: string, count: number): Side {
  return { name, run: () => child.ask(`${command} ${count}`), cpu: child.cpu };
}

/**
 * How many times as much a call costs with a limit as without, here and there. The call without a limit is
 * the same with `timeout: null`, as in Go and tokio, or it is the runtime's own, and then the ratio also
 * has what this library costs besides its limits.
 */
function priceRow(costs: Costs, [what, bare]: [string, string], name: string): Row {
  const price = (limited: string, without: string) =>
    costs.get(limited)!.cpu.map((us, round) => us / costs.get(without)!.cpu[round]!);
  const names: [string, string, string] = [what, `a limit, ${name}`, "x no limit"];
  return row(names, price("holdfast", bare), price(limits[name]!, name), { below: 1 });
}

async function dialClose(port: number): Promise<void> {
  (await dial(port)).close();
}

/** Accepts connections as they come. */
async function accepting(peer: Peer, programs: Programs) {
  const operations = lanes * each;
  const ours = await listening({ backlog: 1_024 });
  const setup = async () => {
    await peer.drop();
    ours.drop();
    for (const [, { child }] of programs) await child.ask("drop 0");
  };
  const sides: Side[] = [
    {
      name: "accept, holdfast",
      setup,
      run: () => Promise.all([ours.accept(operations), peer.dial(ours.port, operations)]),
    },
    ...programs.map(([name, program]) => {
      const accept = side(`accept, ${name}`, program, "accept", operations);
      const run = () => Promise.all([accept.run(), peer.dial(program.port, operations)]);
      return { ...accept, setup, run };
    }),
  ];
  return { sides, operations };
}

/** What the process grows by with each connection that waits for bytes under a limit. */
async function memoryRows(peer: Peer, programs: Programs): Promise<Row[]> {
  const rows: Row[] = [];
  const grown = async (
    name: string,
    rss: () => number,
    open: (count: number) => Promise<unknown>,
  ) => {
    // The first ones also load code and make queues, so they do not count.
    await open(100);
    const before = rss();
    await open(idle);
    await sleep(200);
    rows.push(valueRow(`idle connection, ${name}`, "B of memory", [(rss() - before) / idle]));
  };
  const connections: TcpConnection[] = [];
  await grown("holdfast", () => process.memoryUsage().rss, async (count) => {
    const open = () => dial(peer.ports.sink, { timeout: 600_000 });
    connections.push(...await openReading(count, open));
  });
  for (const connection of connections) connection.close();
  for (const [name, { child }] of programs) {
    await grown(name, () => child.rss(), (count) => child.ask(`idle ${count}`));
    await child.ask("drop 0");
  }
  return rows;
}
