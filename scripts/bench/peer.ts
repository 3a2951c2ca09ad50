/** The other end, for a worker: its ports, and a way to let it dial the worker. */

import net from "node:net";

/** Bytes in one round of a bulk transfer. */
export const round: number = 64 * 1_048_576;

/** Opens `count` connections, a few at a time, since a full accept queue delays them by a second. */
export async function many<Conn>(count: number, dial: () => Promise<Conn>): Promise<Conn[]> {
  const all: Conn[] = [];
  while (all.length < count) {
    const some = Math.min(100, count - all.length);
    all.push(...await Promise.all(Array.from({ length: some }, dial)));
  }
  return all;
}

export interface Ports {
  echo: number;
  sink: number;
  source: number;
  control: number;
  deaf: number;
  /** The first three over TLS. */
  tlsEcho: number;
  tlsSink: number;
  tlsSource: number;
}

export class Peer {
  readonly ports: Ports;
  #control: net.Socket | undefined = undefined;

  constructor(ports: Ports) {
    this.ports = ports;
  }

  /** Lets the other end open `count` connections to `port`. Resolves when all are open. */
  dial(port: number, count: number): Promise<void> {
    return this.#command(`${port} ${count}`);
  }

  /** Lets the other end reset all of them. */
  drop(): Promise<void> {
    return this.#command("0 0");
  }

  async #command(text: string): Promise<void> {
    this.#control ??= net.connect(this.ports.control, "127.0.0.1");
    const answer = new Promise<void>((resolve) => this.#control!.once("data", () => resolve()));
    this.#control.write(text);
    await answer;
  }
}
