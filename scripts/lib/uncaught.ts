/**
 * `deno test --preload` of this file prints errors that nobody caught: with `node:test`, Deno 2.9
 * lets a test pass while a timer or callback throws. Bun and Node fail it by themselves. Can go
 * when a test file with `setTimeout(() => { throw new Error() })` fails without it.
 *
 * @module
 */

globalThis.addEventListener("error", ({ error }) => {
  console.log(`[uncaught] ${error?.stack ?? error}`);
});
