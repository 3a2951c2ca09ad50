/** Imports the module that its argument names, and prints the time that it took as JSON. */

import { existsSync, readdirSync } from "node:fs";
import process from "node:process";

const open = () => existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;

// The package loads a runtime's modules, also those of its timers, only in this way.
let builtins = 0;
const { getBuiltinModule } = process;
Object.assign(process, {
  getBuiltinModule(name: string) {
    builtins++;
    return getBuiltinModule.call(process, name);
  },
});

const before = open();
const start = performance.now();
await import(process.argv[2]!);
const ms = performance.now() - start;
console.log(JSON.stringify({ ms, descriptors: Math.max(0, open() - before), builtins }));
