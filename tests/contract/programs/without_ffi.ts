/**
 * A process that cannot make system calls, since Deno has no permission, and Bun and Node have no module.
 * Prints as JSON what still works, and how the rest is refused.
 */

import process from "node:process";
import { capabilities, connect, getOptions, listen, setOptions, tcpInfo } from "@holdfast/tcp";

const { Deno } = globalThis as unknown as {
  Deno?: { permissions: { revokeSync(descriptor: object): unknown } };
};
Deno?.permissions.revokeSync({ name: "ffi" });
const { getBuiltinModule } = process;
process.getBuiltinModule = ((name: string) => {
  if (name.endsWith("ffi")) return undefined;
  if (name !== "node:module") return getBuiltinModule(name);
  // koffi is loaded by this, where it is installed.
  const resolve = (name: string) => {
    throw Object.assign(new Error(`Cannot find module '${name}'`), { code: "MODULE_NOT_FOUND" });
  };
  return { createRequire: () => Object.assign(resolve, { resolve }), isBuiltin: () => false };
}) as typeof getBuiltinModule;

const hostname = "127.0.0.1";
const timeout = 5_000;

const listener = await listen({ hostname, port: 0, timeout });
const { port } = listener.addr;
const client = await connect({ hostname, port, timeout, keepAlive: true });
const server = await listener.accept();
await client.write(new Uint8Array([1]));
const read = await server.read(new Uint8Array(1), { timeout: 1_000 });
const late = await server.read(new Uint8Array(1), { timeout: 10 }).catch((error) => error.name);

const attempts: Record<string, () => unknown> = {
  connect: () => connect({ hostname, port, timeout, noDelay: false, hopLimit: 9 }),
  listen: () => listen({ hostname, port: 0, timeout, userTimeout: 9_000 }),
  reuseAddress: () => listen({ hostname, port: 0, timeout, reuseAddress: false }),
  setOptions: () => setOptions(client, { noDelay: false, sendBufferSize: 9_000 }),
  method: () => client.setOptions({ linger: 0 }),
  getOptions: () => getOptions(client),
  tcpInfo: () => tcpInfo(client),
  interval: () => setOptions(client, { keepAlive: { idle: 9_000, interval: 3_000 } }),
};
const refused: Record<string, unknown> = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    refused[name] = "it worked";
  } catch (error) {
    const { name: kind, option, runtime, system, reason, remedy } = error as Record<
      string,
      unknown
    >;
    refused[name] = { kind, option, runtime, system, reason, remedy };
  }
}
const comes = await listener.accept({ timeout: 100 }).catch((error) => error.name);
const { options } = capabilities();
let timer = 0;
if (options["keepAlive.idle"].set !== "none") {
  // Imported only now, since it must not find FFI.
  const { socketsOf } = await import("../support.ts");
  client.setOptions({ keepAlive: { idle: 59_000 } });
  timer = socketsOf(client.localAddr.port, "ESTABLISHED")
    .find(({ localPort }) => localPort === client.localAddr.port)!.timerMs;
}
client.setNoDelay(true);
client.setKeepAlive(false);
if (options.reusePort.set !== "none") {
  const shared = await listen({ hostname, port: 0, timeout, reusePort: true });
  const second = await listen({ hostname, port: shared.addr.port, timeout, reusePort: true });
  second.close();
  shared.close();
}
client.close();
server.close();
listener.close();
console.log(JSON.stringify({ read, late, refused, comes, options, timer }));
