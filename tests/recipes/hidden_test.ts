/**
 * Clients and servers with hidden sockets, under a guard: their connections end in time when the machine at
 * the other end vanishes, and stay open while it is only slow.
 */

import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { cannotSet } from "../contract/support.ts";
import { noNamespaces } from "../dead_peer/namespaces.ts";
import { skip } from "../support/skip.ts";
import { type HiddenResult, measureHidden, timeout } from "./hidden.ts";

const interval = 1_000;
/** How much later a busy machine may notice it, ms. */
const slack = 2_000;
const noClients = process.env["HOLDFAST_CLIENTS"] === undefined
  ? "needs clients from npm: 'deno task test' installs them"
  : undefined;
const reason = cannotSet("deadPeerTimeout") ?? noClients ?? noNamespaces();

function judge({ name, situation, outcome, ms, repeats, failure }: HiddenResult): void {
  const what = `${name}, ${situation}: ${failure ?? `${outcome} after ${ms} ms`}`;
  console.log(`[row] ${what}`);
  assertEquals(failure, undefined, what);
  if (situation === "slow") return assertEquals(outcome, "answered", what);
  assert(outcome !== "answered" && outcome !== "nothing", what);
  // A client that repeats a request dials a machine that is not there, which takes the same time again.
  const most = (timeout + interval) * (situation === "in flight" ? 1 + repeats : 1) + slack;
  assert(ms <= most, `${what}, more than ${most}`);
}

test("hidden sockets under a guard, and without one", skip(reason), async () => {
  const results = await measureHidden(8_000);
  const guarded = results.filter(({ guarded }) => guarded);
  const problems = guarded.flatMap((result) => {
    try {
      judge(result);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  assertEquals(problems, []);
  assert(guarded.length >= 3, `${guarded.length} rows`);
  // Without the guard nothing ends.
  const fetched = results.filter(({ name, guarded }) => name === "fetch" && !guarded);
  assertEquals(fetched.map(({ outcome }) => outcome), ["nothing", "nothing"]);
});
