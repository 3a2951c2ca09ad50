/** Prints which functions of the runtime are called when the package is imported: none. */

import { writeSync } from "node:fs";
import process from "node:process";

const asked: string[] = [];
const { getBuiltinModule } = process;
process.getBuiltinModule = ((name: string) => {
  asked.push(name);
  return getBuiltinModule.call(process, name);
}) as typeof getBuiltinModule;
/** Notes every call of `target[name]`. */
function watch(target: Record<string, unknown>, name: string): void {
  const original = target[name] as (...args: unknown[]) => unknown;
  target[name] = (...args: unknown[]) => {
    asked.push(name);
    return Reflect.apply(original, target, args);
  };
}

const globals = globalThis as unknown as Record<string, unknown>;
for (const name of ["setTimeout", "setInterval", "setImmediate"]) watch(globals, name);
if ("Deno" in globals) {
  for (const name of ["dlopen", "connect", "listen"]) {
    watch(globals.Deno as Record<string, unknown>, name);
  }
}

import("@holdfast/tcp").then(async ({ listen, ...rest }) => {
  writeSync(1, `${JSON.stringify({ asked, names: Object.keys(rest).length })}\n`);
  // The first use calls some, which shows that the traps work.
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
  await listener.accept({ timeout: 1 }).catch(() => {});
  writeSync(1, `${asked.length > 0}\n`);
});
