/** The type of every runtime's raw side: its own sockets, without timeouts and without this library. */

/** `read` and `write` as promises, without limits, queue and errors. */
export interface Bare {
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<unknown>;
  close(): void;
}

/** Passing bytes on the runtime's own sockets, in the way that its documentation shows. */
export interface RawBytes {
  /** A connection with promises over the raw API. In Deno that is the raw API itself. */
  dial(port: number): Promise<Bare>;
  /** Opens `count` connections. Returns a function that does `trips` round trips on each. */
  echo(port: number, count: number, data: Uint8Array): Promise<Echo>;
  /** Returns a function that sends `toSend` bytes in chunks of `data` and reads `toTake` at the same time. */
  transfer(
    port: number,
    data: Uint8Array,
  ): Promise<(toSend: number, toTake: number) => Promise<unknown>>;
}

/** Operations on the runtime's own sockets, each in the way that its documentation shows. */
export interface Raw extends RawBytes {
  /** How this runtime's raw API passes data on. */
  readonly style: "await" | "callback";
  /** The runtime's own TLS sockets. */
  readonly secure: RawBytes;
  /** Opens a connection and closes it. */
  connectClose(port: number): Promise<unknown>;
  /** Returns a function that also sets noDelay and keepalive with all values, by bare system calls. */
  connectSetClose(port: number): Promise<() => Promise<unknown>>;
  /** A listener: its port, a function that waits for `count` more connections, and one that closes all. */
  listen(): Promise<RawListener>;
  /** A read that can be given up, at the least cost. Only in runtimes in which that takes memory. */
  leastRead?(conn: Bare, into: Uint8Array): Promise<number | null>;
  /** The runtime's web streams of a socket. */
  streams(port: number): Promise<Streams>;
  /** Sets keepalive of an open socket as far as the runtime can, and says how far that is. */
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
