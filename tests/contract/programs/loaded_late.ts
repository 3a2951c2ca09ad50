/**
 * Loads the package while timers and clock are fakes, and uses it then and afterwards. Prints how long a
 * timeout of 40 ms took at the end.
 */

import process from "node:process";
import timers from "node:timers";

const names = ["setTimeout", "setInterval", "setImmediate"] as const;
const all = globalThis as unknown as Record<string, unknown>;
const module = timers as unknown as Record<string, unknown>;
const real = names.map((name) => [name, all[name], module[name]] as const);
const own = Object.getOwnPropertyDescriptor(performance, "now");
const { now } = performance;
const clock = () => now.call(performance);

for (const name of names) all[name] = module[name] = () => ({ ref() {}, unref() {} });
// In runtimes where `now` is a property of the object itself, the real one cannot be found any more.
if (own === undefined) performance.now = () => 5;
const { connect, listen } = await import("@holdfast/tcp");
const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
const accepted = listener.accept();
const socket = await connect({ port: listener.addr.port, timeout: 5_000 });
await accepted;
// This uses a timer that will never fire.
socket.read(new Uint8Array(1), { timeout: 40 }).catch(() => {});

for (const [name, globally, inModule] of real) {
  all[name] = globally;
  module[name] = inModule;
}
if (own === undefined) Reflect.deleteProperty(performance, "now");
// The timer that keeps the process alive is a fake one too.
setInterval(() => {}, 1_000);
await new Promise((resolve) => setTimeout(resolve, 1_200));
const start = clock();
await socket.read(new Uint8Array(1), { timeout: 40 }).catch(() => {});
console.log(clock() - start);
process.exit();
