/** What `deno task demo` shows, in the runtime that runs this file. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  connect,
  Deadline,
  getOptions,
  listen,
  type TcpConnection,
  TimeoutError,
} from "../../mod.ts";

const hostname = "127.0.0.1";
/** Listens with a backlog of 1 and accepts nothing. */
const silent = fileURLToPath(new URL("../../tests/contract/programs/silent.ts", import.meta.url));
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const say = (text: string) => console.log(`   ${text}`);
const title = (number: number, text: string) => console.log(`\n${number}. ${text}`);
const elapsed = (start: number) => `${Math.round(performance.now() - start)} ms`;

const port = await restart();
await optionsOfBothEnds();
await lateAnswer();
await silentAddress();

/** Restarts a server that closed its connections first, so that its port is in TIME_WAIT. */
async function restart(): Promise<number> {
  title(1, "A server restarts on a port in TIME_WAIT");
  const first = await listen({ hostname, port: 0, timeout: 5_000 });
  const { port } = first.addr;
  const client = await connect({ hostname, port, timeout: 5_000 });
  const served = await first.accept();
  served.close();
  await client.read(new Uint8Array(1));
  client.close();
  first.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  say(`port ${port}: ${timeWaits(port)}`);
  const start = performance.now();
  using _second = await listen({ hostname, port, timeout: 5_000 });
  say(`listening on ${port} again after ${elapsed(start)}`);
  const third = await listen({ hostname, port, timeout: 5_000 }).catch((error) => error);
  say(`a second live listener: ${third.name} ${third.code}`);
  return port;
}

/** The row of the kernel's table, where it can be read. */
function timeWaits(port: number): string {
  if (process.platform !== "linux") return "its old connection is in TIME_WAIT";
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n").map((row) =>
    row.trim().split(/\s+/)
  );
  const count =
    rows.filter(([, address, , state]) => address?.endsWith(local) && state === "06").length;
  return `${count} connection in TIME_WAIT, says the kernel`;
}

/** Sets options on both sides, and reads them back from the kernel. */
async function optionsOfBothEnds(): Promise<void> {
  title(2, "Timeouts and keepalive, as the kernel reports them on both ends");
  using listener = await listen({
    hostname,
    port,
    timeout: { accept: 5_000, read: 30_000, write: 10_000 },
    keepAlive: { idle: 60_000, interval: 10_000, count: 3 },
  });
  using client = await connect({
    hostname,
    port,
    timeout: { connect: 3_000, read: 2_000, write: 2_000 },
    keepAlive: { idle: 5_400, interval: 1_000, count: 4 },
    userTimeout: 20_000,
  });
  using server = await listener.accept();
  const show = (who: string, socket: TcpConnection) => {
    const { keepAlive, userTimeout, noDelay } = getOptions(socket);
    say(`${who.padEnd(9)} timeouts  ${JSON.stringify(socket.timeouts)}`);
    say(`${" ".repeat(9)} kernel    ${JSON.stringify({ keepAlive, userTimeout, noDelay })}`);
  };
  show("client", client);
  show("accepted", server);
  say("(5.4 s were asked for; the kernel counts in seconds, so it is 6)");
}

/** Shows that a timeout ends the wait and loses no data. */
async function lateAnswer(): Promise<void> {
  title(3, "A read times out, and the same connection goes on with every byte");
  using listener = await listen({ hostname, port, timeout: 5_000 });
  using client = await connect({ hostname, port, timeout: 5_000 });
  using server = await listener.accept();
  const into = new Uint8Array(64);
  const start = performance.now();
  try {
    await client.read(into, { timeout: 150 });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    say(`after ${elapsed(start)}: ${error.message}`);
  }
  await server.write(encoder.encode("every byte, in order"));
  const deadline = Deadline.after(1_000);
  const size = await client.read(into, { deadline });
  say(`the next read: ${JSON.stringify(decoder.decode(into.subarray(0, size ?? 0)))}`);
}

/** Fills the backlog of a listener that accepts nothing, so that it does not answer the next SYN. */
async function silentAddress(): Promise<void> {
  title(4, "A connect to a silent address times out on time");
  const child = spawn(process.execPath, [...("Deno" in globalThis ? ["run", "-A"] : []), silent], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const fillers: TcpConnection[] = [];
  try {
    const [line] = await once(child.stdout!, "data") as [Uint8Array];
    const address = { hostname, port: Number(decoder.decode(line)) };
    for (let i = 0; i < 600; i++) {
      const start = performance.now();
      try {
        fillers.push(await connect({ ...address, timeout: 300 }));
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
        return say(`after ${elapsed(start)}: ${error.message}`);
      }
    }
    throw new Error("The address went on answering");
  } finally {
    for (const filler of fillers) filler.close();
    child.kill("SIGKILL");
  }
}
