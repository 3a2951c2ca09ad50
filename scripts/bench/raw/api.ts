/** What every runtime's raw side offers, without timeouts and without this library. */

/** `read` and `write` as promises and nothing else: no limits, no queue, no errors. */
export interface Bare {
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<unknown>;
  close(): void;
}

/** The runtime's own sockets, each job the way its documentation shows it. */
export interface Raw {
  /** How this runtime's raw API gives data. */
  readonly style: "await" | "callback";
  /** A connection with promises over the raw API. In Deno that is the raw API itself. */
  dial(port: number): Promise<Bare>;
  /** `count` connections, and what does `trips` round trips on each. */
  echo(port: number, count: number, data: Uint8Array): Promise<Echo>;
  /** Returns what sends `toSend` bytes in chunks of `data` and takes `toTake`, at the same time. */
  transfer(
    port: number,
    data: Uint8Array,
  ): Promise<(toSend: number, toTake: number) => Promise<unknown>>;
  /** Opens a connection and closes it. */
  connectClose(port: number): Promise<unknown>;
  /** Returns what does the same and sets noDelay and keepalive with all values, by bare calls. */
  connectSetClose(port: number): Promise<() => Promise<unknown>>;
  /** A listener: its port, what waits for `count` more connections, and the end of them all. */
  listen(): Promise<RawListener>;
  /** A read of `dial`'s that can be given up: the least it takes. Only where it takes memory. */
  leastRead?(conn: Bare, into: Uint8Array): Promise<number | null>;
  /** The runtime's web streams of a socket. */
  streams(port: number): Promise<Streams>;
  /** Keepalive of an open socket, as far as the runtime can; and what that is. */
  keepAlive(port: number): Promise<{ what: string; set(idle: number): void }>;
}

export interface Echo {
  run(trips: number): Promise<unknown>;
  close(): void;
}

export interface RawListener {
  readonly port: number;
  accept(count: number): Promise<unknown>;
  /** Closes what was accepted. */
  drop(): void;
}

export interface Streams {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}
