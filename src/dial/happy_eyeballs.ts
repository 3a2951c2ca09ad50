/**
 * Dials the addresses of a name, each a little after the one before, until one connects (RFC 8305).
 */

import type { Attempt, Target } from "../adapter.ts";
import { SocketError, toSocketError } from "../errors.ts";
import { notFound } from "./hostname.ts";
import type { Address } from "../kernel/modules.ts";
import { literalVersion } from "../kernel/sockaddr.ts";
import { nativeTimers } from "../time/native_timers.ts";
import { Settling } from "../time/settling.ts";
import { timers } from "../time/timers.ts";
import { builtin } from "../kernel/system.ts";
import { Refusal } from "../kernel/system_error.ts";

/** How the attempt at one address ended. */
interface Failure {
  readonly cause: unknown;
  readonly hostname: string;
  readonly elapsed: number;
}

/** The result of an attempt, which is closed when another attempt has won. */
interface Closable {
  close(): void;
}

/** Opens one connection to one address. */
export type Dial<Result> = (address: string, family: 4 | 6, port: number) => Attempt<Result>;

/** Name resolution and timers, which unit tests replace. */
export interface Surroundings {
  /** All addresses of a name, in the system's order of preference. */
  lookup(name: string): Promise<Address[]>;
  /** Runs `wake` after `ms`. Returns a function that prevents it. */
  later(wake: () => void, ms: number): () => void;
}

/** "Connection Attempt Delay", RFC 8305 section 5: the recommended value, ms. */
const stagger = 250;

/**
 * Dials `target`: an IP literal at once, a name through all its addresses. The next attempt starts when
 * one has failed or the newest has run for 250 ms, while older ones go on. The first attempt to connect
 * wins, and the others are aborted.
 */
export function race<Result extends Closable>(
  target: Target,
  dial: Dial<Result>,
  around: Surroundings = system,
): Attempt<Result> {
  const { hostname, port } = target;
  const version = literalVersion(hostname);
  if (version !== undefined) return dial(hostname, version, port);
  return new Race(target, dial, around);
}

/** The address to listen on: an IP literal itself, or the first address of a name. */
export async function resolve(hostname: string): Promise<string> {
  if (literalVersion(hostname) !== undefined) return hostname;
  return (await system.lookup(hostname))[0]!.address;
}

class Race<Result extends Closable> implements Attempt<Result> {
  readonly opened: Promise<Result>;
  waitsFor: string | undefined = "the name is not resolved yet";
  readonly #dial: Dial<Result>;
  readonly #around: Surroundings;
  readonly #running = new Set<Attempt<Result>>();
  #addresses: Address[] = [];
  readonly #target: Target;
  readonly #failures: Failure[] = [];
  #over = false;
  #stopTimer: () => void = () => {};
  readonly #settling = new Settling<Result>();

  constructor(target: Target, dial: Dial<Result>, around: Surroundings) {
    this.#target = target;
    this.#dial = dial;
    this.#around = around;
    this.opened = this.#settling.promise;
    around.lookup(target.hostname).then((addresses) => {
      this.waitsFor = undefined;
      if (addresses.length === 0) return this.#fail(notFound(target.hostname));
      this.#addresses = interleave(addresses);
      this.#next();
    }, (cause) => this.#fail(cause));
  }

  /** A lookup cannot be cancelled, so its result is ignored. */
  abort(): Promise<unknown> {
    return this.#end();
  }

  fd(): number | undefined {
    for (const attempt of this.#running) {
      const fd = attempt.fd?.();
      if (fd !== undefined) return fd;
    }
    return undefined;
  }

  #next(): void {
    if (this.#over) return;
    this.#stopTimer();
    const next = this.#addresses.shift();
    if (next === undefined) {
      if (this.#running.size === 0) this.#fail(this.#combined());
      return;
    }
    const attempt = this.#dial(next.address, next.family, this.#target.port);
    const start = timers.now();
    this.#running.add(attempt);
    attempt.opened.then(
      (transport) => this.#won(attempt, transport),
      (cause) =>
        this.#lost(attempt, {
          cause,
          hostname: next.address,
          elapsed: timers.now() - start,
        }),
    );
    if (this.#addresses.length > 0) {
      this.#stopTimer = this.#around.later(() => this.#next(), stagger);
    }
  }

  #won(attempt: Attempt<Result>, transport: Result): void {
    if (this.#over) return transport.close();
    this.#running.delete(attempt);
    this.#settling.resolve(transport);
    this.#end();
  }

  #lost(attempt: Attempt<Result>, failure: Failure): void {
    this.#running.delete(attempt);
    this.#failures.push(failure);
    this.#next();
  }

  /** One error for all addresses. An error that a host caused is preferred to one of routing. */
  #combined(): unknown {
    const failures = this.#failures;
    const { cause } = failures.find(({ cause }) => !isRoutingError(cause)) ?? failures[0]!;
    const error = toSocketError(cause, "connect", this.#target);
    // It is one of ours already, with more in its message.
    if (!(error instanceof SocketError) || error === cause || cause instanceof Refusal) {
      return cause;
    }
    const { port } = this.#target;
    const errors = failures.flatMap(({ cause, hostname, elapsed }) => {
      const { code } = toSocketError(cause, "connect") as { code?: string };
      const address = { hostname, port };
      return code === undefined
        ? []
        : [new SocketError({ code, operation: "connect", address, cause, elapsed })];
    });
    const { code, operation, address } = error;
    return new SocketError({ code, operation, address, cause, errors });
  }

  #fail(cause: unknown): void {
    if (this.#over) return;
    this.#settling.reject(cause);
    this.#end();
  }

  #end(): Promise<unknown> {
    this.#over = true;
    this.#stopTimer();
    const endings = Array.from(this.#running, (attempt) => attempt.abort());
    this.#running.clear();
    return Promise.all(endings);
  }
}

/** Alternates the families, beginning with the preferred one (RFC 8305 section 4). */
function interleave(addresses: Address[]): Address[] {
  const first = addresses.filter(({ family }) => family === addresses[0]!.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]!.family);
  const result: Address[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (i < first.length) result.push(first[i]!);
    if (i < second.length) result.push(second[i]!);
  }
  return result;
}

function isRoutingError(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return code === "EAFNOSUPPORT" || code === "ENETUNREACH" || code === "EHOSTUNREACH" ||
    code === "EADDRNOTAVAIL";
}

const system: Surroundings = {
  lookup: (name) =>
    new Promise((resolve, reject) => {
      builtin("node:dns").lookup(
        name,
        { all: true, verbatim: true },
        (error, addresses) => {
          if (error === null) resolve(addresses);
          else reject(error);
        },
      );
    }),
  later(wake, ms) {
    const { setTimeout, clearTimeout } = nativeTimers();
    const timer = setTimeout(wake, ms);
    return () => clearTimeout(timer);
  },
};
