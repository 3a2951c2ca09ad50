/** One row of a table. */

import { compare, type Contest, type Costs, ratio, type Spread, spread } from "./measure.ts";

export interface Goal {
  /** The most or least that the ratio may be, or the value if there is no ratio. */
  most?: number;
  least?: number;
  below?: number;
}

export interface Row {
  /** What was measured, and what it is compared with. */
  what: string;
  against?: string;
  unit: string;
  value: Spread;
  base?: Spread;
  /** The ratio of pairs that ran one after the other. */
  ratio?: Spread;
  goal?: Goal;
}

/** The names of two sides, the second of which is what the first is compared with. */
export type Pair = [what: string, against: string];

/** Values of two sides, round by round, and their ratio. */
export function row(
  [what, against, unit]: [...names: Pair, unit: string],
  side: number[],
  base: number[],
  goal?: Goal,
): Row {
  const [value, besides] = [spread(side), spread(base)];
  return { what, against, unit, value, base: besides, ratio: ratio(side, base), goal };
}

/** A row with the CPU time of one operation on two sides, and their ratio. */
export function cpuRow(costs: Costs, [what, against]: Pair, goal?: Goal): Row {
  const [side, base] = [costs.get(what)!.cpu, costs.get(against)!.cpu];
  return row([what, against, "us CPU"], side, base, goal);
}

/** A row with operations per second, by CPU or wall clock time. More is better. */
export function rateRow(
  costs: Costs,
  clock: "cpu" | "wall",
  [what, against]: Pair,
  noun: string,
  goal?: Goal,
): Row {
  const rates = (name: string) => costs.get(name)![clock].map((us) => 1e6 / us);
  const unit = `${noun}/s${clock === "cpu" ? " of CPU" : ""}`;
  return row([what, against, unit], rates(what), rates(against), goal);
}

/** A row with a value that is not compared. */
export function valueRow(what: string, unit: string, values: number[], goal?: Goal): Row {
  return { what, unit, value: spread(values), goal };
}

/** Whether a row reaches its goal, or `undefined` when it has none. */
export function reached({ goal, ratio, value }: Row): boolean | undefined {
  if (goal === undefined) return undefined;
  const number = Number((ratio ?? value).median.toFixed(2));
  const { most = Infinity, least = -Infinity, below = Infinity } = goal;
  return number <= most && number >= least && number < below;
}

/**
 * Rows with the MiB per second of each contest, by the clock and by CPU time. The first side is the raw one,
 * and the second is what is measured.
 */
export async function throughputRows(contests: Contest[], rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const contest of contests) {
    const [raw, what, ...others] = contest.sides.map(({ name }) => name) as [string, string];
    const costs = await compare(contest, { rounds, warmup: 3 });
    rows.push(
      rateRow(costs, "wall", [what, raw], "MiB", { least: 0.97 }),
      ...[raw, ...others].map((one) => rateRow(costs, "cpu", [what, one], "MiB")),
    );
  }
  return rows;
}
