/**
 * Runs tasks at the same time, up to a limit. Long tasks start first, so that none of them still runs when
 * all others have ended.
 */

interface Waiting {
  /** How long the task takes, in any unit. */
  weight: number;
  begin(): void;
}

/** Delays tasks until fewer than `size` run. */
export class Pool {
  readonly #waiting: Waiting[] = [];
  #free: number;

  constructor(size: number) {
    this.#free = size;
  }

  /** Runs a task as soon as there is room: the heaviest first, equal ones in the order of the calls. */
  async run<T>(task: () => Promise<T>, weight: number = 0): Promise<T> {
    if (this.#free > 0) this.#free--;
    else {
      await new Promise<void>((begin) => {
        const at = this.#waiting.findIndex((other) => other.weight < weight);
        this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, { weight, begin });
      });
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next.begin();
    }
  }
}
