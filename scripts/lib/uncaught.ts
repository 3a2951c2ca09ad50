/**
 * For `deno test --preload`: prints uncaught errors. With `node:test`, Deno 2.9 lets a test pass although a
 * timer or callback throws; Bun and Node let it fail. Can go when a test file with
 * `setTimeout(() => { throw new Error() })` fails without it.
 */

globalThis.addEventListener("error", ({ error }) => {
  console.log(`[uncaught] ${error?.stack ?? error}`);
});
