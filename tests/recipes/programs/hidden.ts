/**
 * The program under test, in a network namespace of its own: every client and server at once, each with its
 * own address of the machine that vanishes. Prints a line of JSON for each row.
 *
 *     hidden.ts THERE PORTS FIRST TIMEOUT SLOW LIMIT [guarded]
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { guard, sockets } from "@holdfast/tcp";
import { sleep, within } from "../../contract/support.ts";
import { Row } from "../../dead_peer/row.ts";
import { type Client, clients, type OwnServer, ownServers } from "../clients.ts";
import type { HiddenResult } from "../hidden.ts";

const [there, portsText, first, timeout, slowText, limitText, guarded] = process.argv.slice(2);
const ports: Record<string, number | undefined> = JSON.parse(portsText!);
const slow = Number(slowText);
const limit = Number(limitText);
const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
if (guarded === "guarded") guard({ deadPeerTimeout: Number(timeout) });

type Situation = HiddenResult["situation"];

/** The result, and when it came. "nothing" when the limit came first. */
async function measured(
  row: Row,
  promise: Promise<unknown>,
): Promise<[outcome: string, ms: number]> {
  const nothing = sleep(limit).then(() => "nothing");
  const outcome = await Promise.race([
    promise.then(() => "answered", (error: unknown) => wordsOf(error)),
    nothing,
  ]);
  return [outcome, Math.round(row.elapsed)];
}

function wordsOf(error: unknown): string {
  const { code, message, cause } = error as Error & { code?: unknown };
  return String(code ?? (cause as { code?: string } | undefined)?.code ?? message).slice(0, 60);
}

/** Waits until the process has no connection between these addresses any more. */
async function ended(row: Row, kind: "remoteAddress" | "localAddress"): Promise<void> {
  const address = kind === "remoteAddress" ? row.peer : row.us;
  const isOpen = () =>
    sockets({ kind: "connection", [kind]: address }).some(({ state }) => state === "ESTABLISHED");
  while (isOpen()) await sleep(100);
}

/** As something that is told; a connection that ends while it must not is told as well. */
const toEnd = (row: Row, kind: "remoteAddress" | "localAddress") =>
  ended(row, kind).then(() => Promise.reject(new Error("ended")));

async function client(row: Row, { open, service }: Client, situation: Situation) {
  const opened = await open(row.peer, ports[service]!, slow);
  try {
    await within(30_000, opened.request());
    // Clients that repeat the request dial once more.
    await sleep(1_500);
    if (situation === "slow") {
      row.start = performance.now();
      return await measured(row, opened.slow());
    }
    await row.gone();
    return await measured(
      row,
      situation === "idle" ? toEnd(row, "remoteAddress") : opened.request(),
    );
  } finally {
    opened.close();
  }
}

/** A client on the other machine: makes a request, reads a little, and then reads on or not. */
const dialler = `
import socket, sys, time
host, port, path, reads = sys.argv[1:]
connection = socket.socket()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
connection.connect((host, int(port)))
connection.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
connection.recv(100)
print("ready", flush=True)
while reads == "reads" and connection.recv(65536): pass
time.sleep(1000)
`;

async function server(row: Row, { start }: OwnServer, situation: Situation) {
  const port = start(row.us);
  const path = situation === "idle" ? "/quiet" : "/";
  const reads = situation === "slow" ? "waits" : "reads";
  const python = ["python3", "-c", dialler, row.us, String(port), path, reads];
  const child = spawn("ip", ["netns", "exec", there!, ...python], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await within(30_000, new Promise((resolve) => child.stdout.once("data", resolve)));
    await sleep(1_500);
    if (situation !== "slow") await row.gone();
    row.start = performance.now();
    const [outcome, ms] = await Promise.race([
      measured(row, toEnd(row, "localAddress")),
      ...situation === "slow" ? [sleep(slow).then(() => ["answered", slow] as const)] : [],
    ]);
    return [outcome, ms] as const;
  } finally {
    child.kill("SIGKILL");
  }
}

let number = Number(first);
const rows: Promise<void>[] = [];
function add(
  name: string,
  repeats: number,
  run: (row: Row, situation: Situation) => Promise<readonly [string, number]>,
) {
  for (const situation of ["in flight", "idle", "slow"] as const) {
    if (situation === "slow" && guarded !== "guarded") continue;
    const row = new Row(number++);
    const base = { name, situation, guarded: guarded === "guarded", repeats };
    rows.push(
      run(row, situation).then(
        ([outcome, ms]) => console.log(JSON.stringify({ ...base, outcome, ms })),
        (error) =>
          console.log(JSON.stringify({ ...base, outcome: "", ms: 0, failure: String(error) })),
      ),
    );
  }
}
for (const one of clients) {
  if (!one.runtimes.includes(runtime) || ports[one.service] === undefined) continue;
  add(one.name, one.repeats, (row, situation) => client(row, one, situation));
}
for (const one of ownServers) {
  if (one.runtimes === runtime) add(one.name, 0, (row, situation) => server(row, one, situation));
}
await Promise.all(rows);
process.exit(0);
