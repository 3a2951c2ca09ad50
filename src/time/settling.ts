/** Promises that are settled from outside. */

/** A promise with the functions that settle it, as `Promise.withResolvers` returns it, which Node.js 20 lacks. */
export class Settling<Result> {
  readonly promise: Promise<Result>;
  resolve!: (result: Result | Promise<Result>) => void;
  reject!: (cause: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}
