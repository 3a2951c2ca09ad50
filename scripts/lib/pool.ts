/**
 * Runs tasks at the same time, up to a limit. Those that take long begin first, so that none of them
 * runs on when everything else has ended.
 *
 * @module
 */

interface Waiting {
  /** How long the task may take, in any unit. */
  weight: number;
  begin(): void;
}

/** Holds tasks back until fewer than `size` run. */
export class Pool {
  readonly #waiting: Waiting[] = [];
  #free: number;

  constructor(size: number) {
    this.#free = size;
  }

  /** Runs a task as soon as there is room for it: the heavier one first, else in order of the calls. */
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
