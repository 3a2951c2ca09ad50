/**
 * What contract tests share: a connected pair, an address that never answers, the kernel's tables, and
 * other processes of the same runtime.
 */

import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect as netConnect, type Socket } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  capabilities,
  type CapabilityName,
  connect,
  type ConnectOptions,
  listen,
  type ListenOptions,
  onlySupported,
  type SocketOptions,
  type TcpConnection,
  type TcpListener,
} from "@holdfast/tcp";
import { ca, certificate, privateKey } from "../support/certificate.ts";
import { OpenSsl } from "./support_openssl.ts";

/** A time in which everything that should happen does happen, also on a busy machine. */
export const patience = 10_000;

/** Why an option or a call cannot be used here, or `undefined`. */
export function cannotSet(name: CapabilityName): string | undefined {
  const { set, reason } = capabilities().options[name];
  return set === "none" ? `${name}: ${reason}` : undefined;
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Rejects if `promise` takes longer than `ms`, so that a test that hangs shows where. */
export async function within<T>(ms: number, promise: PromiseLike<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const error = new Error(`Nothing within ${ms} ms`);
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => timer = setTimeout(() => reject(error), ms)),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `condition` holds; fails after `ms`. */
export async function until(
  condition: () => boolean,
  what: string,
  ms: number = patience,
): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const start = performance.now();
    if (condition()) return;
    const now = performance.now();
    if (start > end) throw new Error(`Not within ${ms} ms: ${what}`);
    // A slow condition must not use all the CPU time.
    await sleep(Math.max(5, 2 * (now - start)));
  }
}

const { HOLDFAST_TLS: tlsWith = "" } = process.env;

/** Whether pairs use TLS. The tests are the same, since the contract is. */
export const overTls: boolean = tlsWith !== "";

/** OpenSSL as the other end of TLS, in its two roles; otherwise both ends are ours. */
const openssl = tlsWith === "OpenSSL's server"
  ? new OpenSsl("server")
  : tlsWith === "OpenSSL's client"
  ? new OpenSsl("client")
  : undefined;

/** Why the peer's kernel cannot be known to have acknowledged or not: a process is between both ends. */
export const between: string | undefined = openssl && "OpenSSL's process is between both kernels";

const server = { tls: { cert: certificate, key: privateKey } };
const client = { tls: { ca } };

/** The TLS options of both ends. */
export const secure: { listen: Partial<ListenOptions>; connect: Partial<ConnectOptions> } = {
  listen: overTls && tlsWith !== "OpenSSL's server" ? server : {},
  connect: overTls && tlsWith !== "OpenSSL's client" ? client : {},
};

/** The port at which a client with `secure.connect` reaches `listener`. */
export function portTo({ addr: { port } }: TcpListener): Promise<number> {
  return within(patience, openssl?.portTo(port) ?? Promise.resolve(port));
}

/** Both ends of a connection over loopback. */
export interface Pair extends Disposable {
  listener: TcpListener;
  client: TcpConnection;
  server: TcpConnection;
}

export async function pair(
  options: { listen?: Partial<ListenOptions>; connect?: Partial<ConnectOptions> } = {},
): Promise<Pair> {
  const listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    timeout: patience,
    ...secure.listen,
    ...options.listen,
  });
  try {
    const { hostname } = listener.addr;
    const port = await portTo(listener);
    const [client, server] = await Promise.all([
      connect({ hostname, port, timeout: patience, ...secure.connect, ...options.connect }),
      listener.accept(),
    ]);
    const close = () => {
      client.close();
      server.close();
      listener.close();
    };
    return { listener, client, server, [Symbol.dispose]: close };
  } catch (error) {
    listener.close();
    throw error;
  }
}

/** Small buffers for both ends, where they can be set, so that a write soon has to wait. */
export const small: SocketOptions = onlySupported({
  sendBufferSize: 65_536,
  receiveBufferSize: 65_536,
});

/** A pair with {@linkcode small} buffers, where they can be set. */
export const smallPair = (): Promise<Pair> => pair({ listen: small, connect: small });

/** More bytes than such a pair takes while nobody reads. */
export const tooMuchForSmall: number = Object.keys(small).length === 2 ? 2 ** 22 : 2 ** 24;

/** Counts who listens to `signal`. */
export function spySignal(signal: AbortSignal): { listeners: number } {
  const spy = { listeners: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    spy.listeners++;
    return Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    spy.listeners--;
    return Reflect.apply(removeEventListener, signal, args);
  };
  return spy;
}

/** Reads exactly `size` bytes. */
export async function readExactly(
  socket: Pick<TcpConnection, "read">,
  size: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let filled = 0; filled < size;) {
    const count = await socket.read(bytes.subarray(filled));
    if (count === null) throw new Error(`The stream ended after ${filled} of ${size} bytes`);
    filled += count;
  }
  return bytes;
}

/** The known part of a stream without repeats, so that gaps and repeats show. */
let stream = new Uint8Array(0);
/** The same again, to compare with: what is sent may be changed by whoever sends it. */
let expected = stream;

/** Makes the first `end` bytes of the stream known. */
function extendTo(end: number): void {
  if (stream.length >= end) return;
  const words = new Uint32Array(Math.ceil(Math.max(end, 1.25 * stream.length, 65_536) / 4));
  const known = stream.length / 4;
  words.set(new Uint32Array(stream.buffer));
  for (let i = known; i < words.length; i++) {
    let x = Math.imul(i + 1, 0x9e3779b1);
    x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
    words[i] = x ^ (x >>> 13);
  }
  stream = new Uint8Array(words.buffer);
  expected = stream.slice();
}

/**
 * `size` bytes of that stream, from `position` on. All calls share their memory, as to copy megabytes would
 * take most of the CPU time of a test, so who changes them takes a copy.
 */
export function streamBytes(position: number, size: number): Uint8Array {
  extendTo(position + size);
  return stream.subarray(position, position + size);
}

/** The first place where `bytes` differs from that stream, or -1. */
export function firstDifference(bytes: Uint8Array, position: number): number {
  extendTo(position + bytes.length);
  const same = expected.subarray(position, position + bytes.length);
  return sameBytes(bytes, same) ? -1 : position + bytes.findIndex((byte, i) => byte !== same[i]);
}

/**
 * Reads a stream of {@linkcode streamBytes} to its end. Returns how many bytes it had, and the error it
 * ended with.
 */
export async function readOn(socket: TcpConnection): Promise<[size: number, error: unknown]> {
  const into = new Uint8Array(262_144);
  let size = 0;
  try {
    for (let count; (count = await within(patience, socket.read(into))) !== null; size += count) {
      const difference = firstDifference(into.subarray(0, count), size);
      if (difference >= 0) throw new Error(`another byte than was sent at ${difference}`);
    }
    return [size, undefined];
  } catch (error) {
    return [size, error];
  }
}

/** A loop over megabytes would take most of the CPU time of a test. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

// Other processes

/** Path of a file beside the tests. */
export const testFile = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** How to start another process of this runtime. */
export interface StartOptions {
  /** A command through which it is started, such as `unshare -n`. */
  through?: string[];
  /** A descriptor that the process gets as its number 3. */
  fd?: number;
  /** Where its stderr goes; by default to that of this process. */
  stderr?: "pipe";
}

/**
 * Starts a script under the runtime that runs this test. Only Deno needs flags for that; how
 * imports resolve comes from deno.json, tsconfig.json and NODE_OPTIONS.
 */
export function startRuntime(
  script: string,
  args: string[] = [],
  { through = [], fd, stderr }: StartOptions = {},
): ChildProcess {
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
  const [command, ...rest] = [...through, process.execPath, ...flags, script, ...args];
  return spawn(command!, rest, {
    stdio: ["pipe", "pipe", stderr ?? "inherit", ...(fd === undefined ? [] : [fd])],
  });
}

/** How a process ended. */
export interface Ended {
  code: number | null;
  output: string;
  /** The time from its start to its end, ms. */
  ms: number;
}

/** Runs a script under the same runtime to its end; kills it after `ms`. */
export async function spawnRuntime(
  script: string,
  args: string[] = [],
  ms: number = 2 * patience,
  options?: StartOptions,
): Promise<Ended> {
  const start = performance.now();
  const child = startRuntime(script, args, options);
  let output = "";
  child.stdout!.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), ms);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { code, output, ms: performance.now() - start };
  } finally {
    clearTimeout(timer);
  }
}

/** The first line a process prints. */
export async function firstLine(child: ChildProcess, ms: number = patience): Promise<string> {
  let output = "";
  return await within(
    ms,
    new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`Ended with ${code} and: ${output}`)));
      child.stdout!.on("data", (chunk: Uint8Array) => {
        output += new TextDecoder().decode(chunk);
        const [line, rest] = output.split("\n", 2);
        if (rest !== undefined) resolve(line!);
      });
    }),
  );
}

/**
 * Passes each line that a process prints to `take`, until it ends. Rejects, with what it has written to
 * stderr if that is a pipe, when it does not end with 0.
 */
export function takeLines(child: ChildProcess, take: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest = "";
    let errors = "";
    child.once("error", reject);
    child.stderr?.on("data", (chunk: Uint8Array) => errors += new TextDecoder().decode(chunk));
    child.stdout!.on("data", (chunk: Uint8Array) => {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop()!;
      for (const text of lines) take(text);
    });
    child.once("close", (code, signal) => {
      if (code === 0) return resolve();
      const command = child.spawnargs.join(" ");
      reject(new Error(`${command} ended with ${code ?? signal}: ${rest}${errors}`));
    });
  });
}

/** An address where the handshake is never completed. */
export interface HangingAddress extends Disposable {
  hostname: string;
  port: number;
}

/**
 * A listener that accepts nothing, its backlog filled up, so that the next SYN stays unanswered
 * (on loopback that needs no root). Runtimes that ignore the backlog get 513 fillers.
 */
export async function hangingAddress(listenOn: string = "127.0.0.1"): Promise<HangingAddress> {
  const child = startRuntime(testFile("programs/silent.ts"), [listenOn]);
  const fillers: Socket[] = [];
  const dispose = () => {
    for (const filler of fillers) filler.destroy();
    child.kill("SIGKILL");
  };
  try {
    const hostname = "127.0.0.1";
    const port = Number(await firstLine(child));
    for (;;) {
      const filler = netConnect({ host: hostname, port });
      const filled = await new Promise<boolean>((resolve, reject) => {
        const timer = setTimeout(() => resolve(false), 500);
        filler.once("error", reject);
        filler.once("connect", () => {
          clearTimeout(timer);
          resolve(true);
        });
      });
      fillers.push(filler);
      if (filled) continue;
      // This one hangs, as the next one will. It is closed, so that its SYN is not in the kernel's tables.
      fillers.pop()!.destroy();
      return { hostname, port, [Symbol.dispose]: dispose };
    }
  } catch (error) {
    dispose();
    throw error;
  }
}

// The kernel's tables

/** Why the kernel's tables cannot be read here, or `undefined`. */
export const noTables: string | undefined = process.platform === "linux"
  ? undefined
  : `reads /proc, which ${process.platform} does not have`;

const states = [
  ...["", "ESTABLISHED", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"],
  ...["CLOSE", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "NEW-SYN-RECV"],
];

/** A row of /proc/net/tcp: what `ss -tano` shows, without another program. */
export interface SocketRow {
  state: string;
  localPort: number;
  remotePort: number;
  /** 0 none, 1 retransmission, 2 keepalive, 3 TIME-WAIT, 4 zero window probe. */
  timer: number;
  /** When the timer rings, ms from now. */
  timerMs: number;
  sendQueue: number;
  receiveQueue: number;
}

/** Sockets of the system that have `port` at either end, in `state` if given. */
export function socketsOf(port: number, state?: string): SocketRow[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => {
    const table = readFileSync(file, "latin1");
    const rows: SocketRow[] = [];
    // Parses only the lines that matter, since a busy machine has tens of thousands in TIME-WAIT.
    for (let at = table.indexOf(end); at >= 0;) {
      const next = table.indexOf("\n", at);
      const row = socketRow(table.slice(table.lastIndexOf("\n", at) + 1, next));
      const ours = row.localPort === port || row.remotePort === port;
      if (ours && (state === undefined || row.state === state)) rows.push(row);
      at = table.indexOf(end, next);
    }
    return rows;
  });
}

function socketRow(line: string): SocketRow {
  const [, local = "", remote = "", state = "", queues = "", timer = ""] = line.trim().split(/\s+/);
  const hex = (text: string | undefined) => parseInt(text ?? "", 16);
  const [sendQueue, receiveQueue] = queues.split(":").map(hex);
  const [kind, ticks] = timer.split(":").map(hex);
  return {
    state: states[hex(state)] ?? state,
    localPort: hex(local.split(":").at(-1)),
    remotePort: hex(remote.split(":").at(-1)),
    timer: kind!,
    // It counts in ticks of USER_HZ, which is 100 on every Linux.
    timerMs: ticks! * 10,
    sendQueue: sendQueue!,
    receiveQueue: receiveQueue!,
  };
}

/** How many network sockets this process has open, in whatever state. */
export function openDescriptors(): number {
  // Runtimes open pairs of UNIX sockets for themselves at any time.
  const unix = new Set(
    readFileSync("/proc/net/unix", "utf8").split("\n").map((line) => line.trim().split(/\s+/)[6]),
  );
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
      return inode !== undefined && !unix.has(inode);
    } catch {
      // This was the descriptor of the directory itself, which is closed by now.
      return false;
    }
  }).length;
}
