/**
 * One line of a table.
 *
 * @module
 */

import { compare, type Contest, type Costs, ratio, type Spread, spread } from "./measure.ts";

export interface Goal {
  /** At most, at least; of the ratio, or of the value where there is none. */
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
  /** Of pairs that ran one after the other. */
  ratio?: Spread;
  goal?: Goal;
}

/** CPU time an operation of two sides, and their ratio. */
export function cpuRow(
  costs: Map<string, Costs>,
  what: string,
  against: string,
  unit: string,
  goal?: Goal,
): Row {
  const side = costs.get(what)!.cpu;
  const base = costs.get(against)!.cpu;
  return {
    what,
    against,
    unit,
    value: spread(side),
    base: spread(base),
    ratio: ratio(side, base),
    goal,
  };
}

/** Operations a second, by CPU or wall clock time; more is better. `scale` units an operation. */
export function rateRow(
  costs: Map<string, Costs>,
  clock: "cpu" | "wall",
  [what, against, unit]: [what: string, against: string, unit: string],
  goal?: Goal,
): Row {
  const side = costs.get(what)![clock].map((us) => 1e6 / us);
  const base = costs.get(against)![clock].map((us) => 1e6 / us);
  return {
    what,
    against,
    unit,
    value: spread(side),
    base: spread(base),
    ratio: ratio(side, base),
    goal,
  };
}

/** A value that is compared with nothing. */
export function valueRow(what: string, unit: string, values: number[], goal?: Goal): Row {
  return { what, unit, value: spread(values), goal };
}

/** Whether a row reaches its goal; `undefined` when it has none. */
export function reached({ goal, ratio, value }: Row): boolean | undefined {
  if (goal === undefined) return undefined;
  const number = Number((ratio ?? value).median.toFixed(2));
  const { most = Infinity, least = -Infinity, below = Infinity } = goal;
  return number <= most && number >= least && number < below;
}

/** How many MiB a second each contest moves, by the clock and by CPU time; at least `least` of raw. */
export async function throughputRows(
  contests: Contest[],
  rounds: number,
  least: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { sides, operations } of contests) {
    const [raw, what] = sides.map(({ name }) => name) as [string, string];
    const costs = await compare(sides, { operations, rounds, warmup: 3 });
    rows.push(
      rateRow(costs, "wall", [what, raw, "MiB/s"], { least }),
      rateRow(costs, "cpu", [what, raw, "MiB/s of CPU"]),
    );
  }
  return rows;
}
