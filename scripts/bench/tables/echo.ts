/** Echo round trips with a limit on every read and write, beside the raw API. */

import { besides, dial, echoContest } from "../operations.ts";
import { compare, type Contest } from "../measure.ts";
import { cpuRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Echo round trip, 64 connections, 64 B, a limit on every read and write";

export function contest({ peer, raw }: Tools): Promise<Contest> {
  const { style } = raw;
  return echoContest("holdfast", [64, 150], peer.ports.echo, { bytes: raw, style }, dial);
}

export async function run(tools: Tools): Promise<Row[]> {
  const costs = await compare(await contest(tools), { rounds: tools.rounds(25), warmup: 8 });
  const goals = [{ most: 1.08 }, { most: 1 }];
  return besides(tools.raw).map((name, i) => cpuRow(costs, ["holdfast", name], goals[i]));
}
