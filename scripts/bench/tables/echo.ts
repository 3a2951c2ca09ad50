/**
 * Echo round trips with a limit on every read and write, beside the raw API and other ways to have
 * a limit.
 *
 * @module
 */

import { connect } from "../../../mod.ts";
import { compare, type Side } from "../measure.ts";
import type { Bare, Raw } from "../raw/api.ts";
import { cpuRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Echo round trip, 64 connections, 64 B, a limit on every read and write";

const count = 64;
const trips = 150;
const timeout = 30_000;
const data = new Uint8Array(64).fill(7);

/** Something that waits for an operation with a limit. */
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

type PTimeout = <Result>(operation: Promise<Result>, options: { milliseconds: number }) => Promise<
  Result
>;

async function trip(conn: Bare, times: number): Promise<void> {
  const into = new Uint8Array(data.length);
  for (let i = 0; i < times; i++) {
    await conn.write(data);
    for (let got = 0; got < data.length;) got += (await conn.read(into))!;
  }
}

async function limitedTrip(conn: Bare, times: number, limit: Limit): Promise<void> {
  const into = new Uint8Array(data.length);
  for (let i = 0; i < times; i++) {
    await limit(conn.write(data));
    for (let got = 0; got < data.length;) got += (await limit(conn.read(into)))!;
  }
}

function repeat<Result>(times: number, make: () => Promise<Result>): Promise<Result[]> {
  return Promise.all(Array.from({ length: times }, make));
}

export async function run({ peer, raw, load, rounds }: Tools): Promise<Row[]> {
  const port = peer.ports.echo;
  const { default: pTimeout } = await load<{ default: PTimeout }>("p-timeout");
  const limited = async (name: string, limit: Limit): Promise<Side> => {
    const conns = await repeat(count, () => raw.dial(port));
    const run = () => Promise.all(conns.map((conn) => limitedTrip(conn, trips, limit)));
    return { name, run };
  };
  const direct = async (name: string, dial: () => Promise<Bare>): Promise<Side> => {
    const conns = await repeat(count, dial);
    return { name, run: () => Promise.all(conns.map((conn) => trip(conn, trips))) };
  };
  const rawSide = await rawEcho(raw, port);
  const sides = [
    rawSide,
    await direct("holdfast", () => connect({ hostname: "127.0.0.1", port, timeout })),
    ...(raw.style === "await" ? [] : [await direct("bare promises", () => raw.dial(port))]),
    await limited("Promise.race", race),
    await limited("AbortSignal.timeout", raceSignal),
    await limited("p-timeout", (operation) => pTimeout(operation, { milliseconds: timeout })),
  ];
  const operations = count * trips;
  const costs = await compare(sides, { operations, rounds: rounds(21), warmup: 6 });
  const row = (against: string, goal: Row["goal"]) =>
    cpuRow(costs, "holdfast", against, "us CPU", goal);
  const deno = raw.style === "await";
  return [
    row(rawSide.name, { most: 1.1 }),
    ...(deno ? [] : [row("bare promises", { most: 1 })]),
    row("Promise.race", deno ? { most: 0.65 } : { below: 1 }),
    row("AbortSignal.timeout", deno ? { most: 0.4 } : { below: 1 }),
    row("p-timeout", { below: 1 }),
  ];
}

async function rawEcho(raw: Raw, port: number): Promise<Side> {
  const echo = await raw.echo(port, count, data);
  return { name: `raw ${raw.style}`, run: () => echo(trips) };
}
