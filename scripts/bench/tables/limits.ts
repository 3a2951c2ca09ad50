/**
 * Echo round trips with a limit on every read and write, compared with other ways to set a limit. Those
 * lose data when the limit runs out, which is not counted here.
 */

import { dial, echoing } from "../operations.ts";
import { compare } from "../measure.ts";
import type { Bare } from "../raw/api.ts";
import { cpuRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "The same, beside other ways to have a limit";

const count = 64;
const trips = 150;
const timeout = 30_000;

/** A function that waits for an operation with a limit. */
type Limit = <Result>(operation: Promise<Result>) => Promise<Result>;

function race<Result>(operation: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out")), timeout);
  });
  return Promise.race([operation, late]).finally(() => clearTimeout(timer));
}

function raceSignal<Result>(operation: Promise<Result>): Promise<Result> {
  const signal = AbortSignal.timeout(timeout);
  return new Promise<Result>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    operation.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

type PTimeout = <T>(operation: Promise<T>, options: { milliseconds: number }) => Promise<T>;

/** A connection whose calls all have that limit. */
function limited(conn: Bare, limit: Limit): Bare {
  const read = (into: Uint8Array) => limit(conn.read(into));
  const write = (data: Uint8Array) => limit(conn.write(data));
  return { read, write, close: () => conn.close() };
}

export async function run({ peer, raw, load, rounds }: Tools): Promise<Row[]> {
  const port = peer.ports.echo;
  const { default: pTimeout } = await load<{ default: PTimeout }>("p-timeout");
  const unlimited = "raw, without any limit";
  const size: [number, number] = [count, trips];
  const side = (name: string, limit: Limit) =>
    echoing(name, size, async () => limited(await raw.dial(port), limit));
  const sides = [
    await echoing("holdfast", size, () => dial(port)),
    await echoing(unlimited, size, () => raw.dial(port)),
    await side("Promise.race", race),
    await side("AbortSignal.timeout", raceSignal),
    await side("p-timeout", (operation) => pTimeout(operation, { milliseconds: timeout })),
  ];
  const contest = { sides, operations: count * trips };
  const costs = await compare(contest, { rounds: rounds(15), warmup: 6 });
  const deno = raw.style === "await";
  return [
    cpuRow(costs, ["holdfast", "Promise.race"], deno ? { most: 0.65 } : { below: 1 }),
    cpuRow(
      costs,
      ["holdfast", "AbortSignal.timeout"],
      deno ? { most: 0.4 } : { below: 1 },
    ),
    cpuRow(costs, ["holdfast", "p-timeout"], { below: 1 }),
    // No limit can cost less than this.
    cpuRow(costs, [unlimited, "AbortSignal.timeout"]),
  ];
}
