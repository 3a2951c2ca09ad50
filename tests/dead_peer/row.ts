/** What the rows share: how to make a row's peer vanish, to give it commands, and to measure. */

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect as netConnect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { connect, type ConnectOptions, type TcpConnection } from "@holdfast/tcp";
import { sleep } from "../contract/support.ts";

/** One row's surroundings. */
export class Row {
  readonly number: number;
  /** When the peer had vanished for certain. */
  start: number = performance.now();
  /** By how much earlier it may have vanished, ms. */
  uncertain = 0;

  constructor(number: number) {
    this.number = number;
  }

  get us(): string {
    return `10.77.${this.number}.1`;
  }

  get peer(): string {
    return `10.77.${this.number}.2`;
  }

  connect(port: number, options: Partial<ConnectOptions>): Promise<TcpConnection> {
    return connect({ hostname: this.peer, port, timeout: null, ...options });
  }

  /** Makes the peer vanish, so that it answers nothing any more. */
  async gone(): Promise<void> {
    await this.#cut(`-n ${there()} route add blackhole ${this.us}/32`);
  }

  heal(): Promise<void> {
    return ip(`-n ${there()} route del blackhole ${this.us}/32`);
  }

  /** Gives the peer a command. Returns how many bytes it has counted. */
  command(command: "reset" | "read" | "finish"): Promise<string> {
    return control(`${command} ${this.us}`);
  }

  dial(port: number): Promise<string> {
    return control(`dial ${this.us} ${port}`);
  }

  /** Removes the peer's address, so that nothing answers for it on the cable. */
  async removeAddress(): Promise<void> {
    await this.#cut(`-n ${there()} addr del ${this.peer}/24 dev cable0`);
  }

  /** Removes our address, as when the network changes. */
  async loseAddress(): Promise<void> {
    await this.#cut(`addr del ${this.us}/24 dev cable0`);
  }

  /** Changes the peer's link address, while our kernel goes on sending to the old one. */
  async misplace(): Promise<void> {
    await this.#cut(
      `neigh replace ${this.peer} lladdr 02:00:00:00:00:99 dev cable0 nud permanent`,
    );
  }

  /** All rows run such commands at once, so a command's end may be noticed long after it has taken effect. */
  async #cut(command: string): Promise<void> {
    const before = performance.now();
    await ip(command);
    this.start = performance.now();
    this.uncertain = this.start - before;
  }

  /** Asserts that the kernel's table has no connection of this row any more. */
  get ended(): boolean {
    const [number] = new Uint32Array(Uint8Array.from(this.us.split("."), Number).buffer);
    const local = number!.toString(16).padStart(8, "0").toUpperCase();
    return !readFileSync("/proc/net/tcp", "utf8").includes(`: ${local}:`);
  }

  get elapsed(): number {
    return performance.now() - this.start;
  }

  /** The error with which `promise` rejects, and when. */
  async end(promise: Promise<unknown>): Promise<Measured> {
    const error = await promise.then((value) => value, (error: unknown) => error);
    return { ms: this.elapsed, error };
  }
}

/**
 * A call whose result the row asks for later. If the row fails, or the call rejects, before that, nobody else
 * would handle the rejection, and it would end the process and with it all rows.
 */
export function pending<Result>(call: Promise<Result>): Promise<Result> {
  call.catch(() => {});
  return call;
}

export interface Measured {
  ms: number;
  /** Fails when there is a value where an error was expected. */
  error: unknown;
}

/** A row: what has to happen, and how to make it happen. */
export interface Plan {
  name: string;
  expected: string;
  accepted: string[];
  min: number;
  max: number;
  run(row: Row): Promise<Measured>;
}

/** Both ends of the second cable. */
export const cable: Row = new Row(200);

let pulled: Promise<void> | undefined;

/** Pulls the second cable, once all rows that need it have connected. */
export function pullCable(): Promise<void> {
  return pulled ??= (async () => {
    await sleep(1_500);
    await ip(`-n ${there()} link set cable1 down`);
    cable.start = performance.now();
  })();
}

/** The namespace of the peers. */
function there(): string {
  return process.argv[2]!;
}

function ip(command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("ip", command.split(" "), (error) => error ? reject(error) : resolve());
  });
}

let commands: Socket | undefined;
const answers: ((answer: string) => void)[] = [];

/** Gives the peer program a command and returns its reply. */
export function control(command: string): Promise<string> {
  if (commands === undefined) {
    commands = netConnect(7000, "10.77.0.2");
    createInterface(commands).on("line", (line: string) => answers.shift()!(line));
  }
  commands.write(`${command}\n`);
  return new Promise((resolve) => answers.push(resolve));
}
