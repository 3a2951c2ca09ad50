/**
 * For `node --import`: keeps `node:test` from following every promise of a process by an async hook, which
 * makes a loop of awaits take twice the time, and which no program of a user has. Node uses the hook to say
 * which test an uncaught error belongs to; without it, the file fails as a whole. JavaScript, since Node 20
 * runs it too.
 */

import hooks from "node:async_hooks";

const { createHook } = hooks;
hooks.createHook = () => {
  hooks.createHook = createHook;
  return createHook({});
};
