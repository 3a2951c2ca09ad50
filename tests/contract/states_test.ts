/**
 * What every operation does in every state of a connection: one table for all runtimes, and for
 * connections that were dialled, accepted or wrapped.
 */

import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { capabilities, listen } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { cannotSet, overTls, patience, secure, small } from "./support.ts";
import { noKernel } from "./support_listen.ts";
import { kinds, operations, outcome, serve, states } from "./support_states.ts";

/**
 * `late`: a TimeoutError. A code: a SocketError of the call. Of `closing`: `closeWrite` with `close` or
 * `reset` right after it. `options` says whether there are any to be set and read.
 */
const table = `
state                          | read       | write      | no bytes   | write, close | closeWrite | closing    | options
-------------------------------|------------|------------|------------|--------------|------------|------------|--------
open                           | late       | 1          | 0          | 1            | ok         | ok         | yes
bytes wait                     | 3          | 1          | 0          | 1            | ok         | ok         | yes
we finished                    | late       | EPIPE      | EPIPE      | EPIPE        | ok         | ok         | yes
peer finished                  | null       | 1          | 0          | 1            | ok         | ok         | yes
peer finished, read            | null       | 1          | 0          | 1            | ok         | ok         | yes
peer finished after bytes      | 3          | 1          | 0          | 1            | ok         | ok         | yes
peer finished and reset        | null       | EPIPE      | 0          | EPIPE        | EPIPE      | EPIPE      | no
peer finished and reset, read  | null       | EPIPE      | 0          | EPIPE        | EPIPE      | EPIPE      | no
both finished, we first        | null       | EPIPE      | EPIPE      | EPIPE        | ok         | ok         | no
both finished, we first, read  | null       | EPIPE      | EPIPE      | EPIPE        | ok         | ok         | no
both finished, we last, read   | null       | EPIPE      | EPIPE      | EPIPE        | ok         | ok         | no
peer reset                     | ECONNRESET | ECONNRESET | 0          | ECONNRESET   | ECONNRESET | ECONNRESET | no
peer reset, read               | ECONNRESET | ECONNRESET | 0          | ECONNRESET   | ECONNRESET | ECONNRESET | no
peer reset, written            | ECONNRESET | ECONNRESET | 0          | ECONNRESET   | ECONNRESET | ECONNRESET | no
peer reset after we finished   | ECONNRESET | EPIPE      | EPIPE      | EPIPE        | ok         | ok         | no
read timed out                 | late       | 1          | 0          | 1            | ok         | ok         | yes
write timed out                | late       | late       | late       | ECANCELED    | late       | ECANCELED  | yes
read waits                     | late       | 1          | 0          | 1            | ok         | ok         | yes
write waits                    | late       | late       | late       | ECANCELED    | late       | ECANCELED  | yes
closeWrite waits               | late       | EPIPE      | EPIPE      | EPIPE        | late       | ECANCELED  | yes
closed                         | EBADF      | EBADF      | EBADF      | EBADF        | EBADF      | EBADF      | no
reset                          | EBADF      | EBADF      | EBADF      | EBADF        | EBADF      | EBADF      | no
closed by somebody else        | ECANCELED  | ECANCELED  | 0          | ECANCELED    | ECANCELED  | ECANCELED  | no
`;

const [[, ...columns] = [], , ...rows] = table.trim().split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()));
const cells = new Map(rows.map(([state = "", ...row]) => [
  state,
  Object.fromEntries(row.map((cell, i) => [columns[i]!, cell])),
]));

/** Why options cannot be used on this platform, or `undefined`. */
const needs: Record<string, boolean> = {
  "setNoDelay": false,
  "setOptions": false,
  "setKeepAlive": capabilities().options.keepAlive.set === "none",
  "setKeepAlive tuned": (["idle", "interval", "count"] as const)
    .some((key) => capabilities().options[`keepAlive.${key}`].set === "none"),
  "getOptions": noKernel !== undefined,
  "tcpInfo": noKernel !== undefined,
  "getsockopt": noKernel !== undefined,
};
const answers: Record<string, string> = {
  getOptions: "object",
  tcpInfo: "object",
  getsockopt: "4",
};

/** The results of every operation, in the form of a row of the table. */
function expected(row: Record<string, string>): Record<string, string> {
  const say = (cell: string, call: string) =>
    cell === "late" ? `late ${call}` : /^E/.test(cell) ? `${cell} ${call}` : cell;
  const read = say(row.read!, "read");
  const write = say(row.write!, "write");
  const closeWrite = say(row.closeWrite!, "write");
  const closing = say(row.closing!, "write");
  const always = ["close", "reset", "dispose", "setTimeouts", "ref, unref"];
  return {
    read,
    "read none": row.read === "EBADF" ? read : "0",
    readable: row.read === "null" ? "done" : read,
    write,
    "write none": say(row["no bytes"]!, "write"),
    "write, close": say(row["write, close"]!, "write"),
    writable: row.write === "1" ? "ok" : write,
    closeWrite,
    "closeWrite twice": closeWrite,
    "closeWrite, then write": row.closeWrite === "ok" ? "EPIPE write" : closeWrite,
    "closeWrite, close": closing,
    "closeWrite, reset": closing,
    ...Object.fromEntries(always.map((name) => [name, "ok"])),
    addresses: "true",
    "wrap again": "TypeError",
    ...Object.fromEntries(
      Object.entries(needs).map(([name, missing]) => [
        name,
        row.options === "no"
          ? `EBADF ${name.startsWith("set") ? "set" : "get"}sockopt`
          : missing
          ? "UnsupportedOptionError"
          : answers[name] ?? "ok",
      ]),
    ),
  };
}

const noReset = cannotSet("reset");

test("states: the table has every state, and every operation", () => {
  assertEquals([...cells.keys()].sort(), Object.keys(states).sort());
  for (const row of cells.values()) {
    assertEquals(Object.keys(expected(row)).sort(), Object.keys(operations).sort());
  }
});

for (const kind of kinds) {
  for (const state of cells.keys()) {
    // Where no record of TLS fits any more, the kernel may still have room for a byte.
    if (overTls && state === "write timed out") continue;
    test(`states: ${kind}, ${state}`, skip(noReset), async () => {
      using listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        timeout: patience,
        ...secure.listen,
        // The kernel is full after fewer bytes.
        ...small,
      });
      const serving = serve(listener);
      const row = expected(cells.get(state)!);
      const outcomes = await Promise.all(
        Object.keys(row).map(async (operation) => [
          operation,
          await outcome(listener, kind, state, operation),
        ]),
      );
      assertEquals(Object.fromEntries(outcomes), row);
      listener.close();
      await serving;
    });
  }
}
