/** Measures the sides of a comparison in turn, within one run. Each round yields one ratio. */

import process from "node:process";

/** What one side does in a round. `setup` is not measured. */
export interface Side {
  name: string;
  run(): Promise<unknown>;
  setup?(): Promise<unknown>;
  /** CPU time in us so far, of the process that does it; this one otherwise. */
  cpu?(): number;
}

/** The sides, the raw one first, and how many operations the `run` of each does. */
export interface Contest {
  sides: Side[];
  operations: number;
}

/** Cost of one operation in each round, in us, by the name of the side. */
export type Costs = Map<string, { cpu: number[]; wall: number[] }>;

/** The measurement of one side that ran alone in a process. */
export interface Alone {
  operations: number;
  /** CPU time of all threads, in us. */
  user: number;
  system: number;
  /** Start and end of each round, in us before the last end. */
  spans: [start: number, end: number][];
}

/** Median and the middle half. */
export interface Spread {
  p25: number;
  median: number;
  p75: number;
}

export interface Rounds {
  rounds: number;
  /** Rounds before the first that counts. */
  warmup: number;
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** CPU time of this process so far, all threads, in us. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** The share of one core that this process uses for this time, in per cent. */
export async function load(ms: number): Promise<number> {
  const [cpu, wall] = [cpuTime(), performance.now()];
  await sleep(ms);
  return (cpuTime() - cpu) / (performance.now() - wall) / 10;
}

async function ready(side: Side): Promise<void> {
  await side.setup?.();
  // Waits, since the work of sockets that still close would count for the next side.
  await sleep(20);
}

/** Runs every side once a round, each round in another order. */
export async function compare(
  { sides, operations }: Contest,
  { rounds, warmup }: Rounds,
): Promise<Costs> {
  const costs: Costs = new Map(sides.map(({ name }) => [name, { cpu: [], wall: [] }]));
  for (let round = -warmup; round < rounds; round++) {
    for (let i = 0; i < sides.length; i++) {
      const side = sides[(i + round + warmup) % sides.length]!;
      await ready(side);
      const wall = performance.now();
      const { cpu = cpuTime } = side;
      const before = cpu();
      await side.run();
      const used = cpu() - before;
      const took = (performance.now() - wall) * 1_000;
      if (round < 0) continue;
      costs.get(side.name)!.cpu.push(used / operations);
      costs.get(side.name)!.wall.push(took / operations);
    }
  }
  return costs;
}

/** Runs one side and nothing else. */
export async function alone(
  { sides, operations }: Contest,
  { index, rounds, warmup }: Rounds & { index: number },
): Promise<Alone> {
  const side = sides[index]!;
  const all: Alone = { operations: operations * rounds, user: 0, system: 0, spans: [] };
  for (let round = -warmup; round < rounds; round++) {
    await ready(side);
    const start = performance.now();
    const before = process.cpuUsage();
    await side.run();
    const { user, system } = process.cpuUsage(before);
    if (round < 0) continue;
    all.user += user;
    all.system += system;
    all.spans.push([start, performance.now()]);
  }
  const end = all.spans.at(-1)![1];
  all.spans = all.spans.map(([from, to]) => [(end - from) * 1_000, (end - to) * 1_000]);
  return all;
}

/** The value below which this part of all values is. */
export function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(part * (sorted.length - 1))]!;
}

export function spread(values: number[]): Spread {
  const [p25 = 0, median = 0, p75 = 0] = [0.25, 0.5, 0.75].map((part) => quantile(values, part));
  return { p25, median, p75 };
}

/** Ratio of the two sides in each round. */
export function ratio(side: number[], base: number[]): Spread {
  return spread(side.map((value, round) => value / base[round]!));
}
