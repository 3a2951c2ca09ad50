/**
 * Prints what importing the package asks of the runtime: nothing.
 *
 * @module
 */

import { writeSync } from "node:fs";
import process from "node:process";

const asked: string[] = [];
const { getBuiltinModule } = process;
process.getBuiltinModule = ((name: string) => {
  asked.push(name);
  return getBuiltinModule.call(process, name);
}) as typeof getBuiltinModule;
for (const name of ["setTimeout", "setInterval", "setImmediate"] as const) {
  const original = globalThis[name];
  const trap = (...args: unknown[]) => {
    asked.push(name);
    return Reflect.apply(original, globalThis, args);
  };
  Object.assign(globalThis, { [name]: trap });
}

import("@holdfast/tcp").then((module) => {
  writeSync(1, `${JSON.stringify({ asked, names: Object.keys(module).length })}\n`);
  // The traps work: the first use asks.
  module.capabilities();
  writeSync(1, `${asked.length > 0}\n`);
});
