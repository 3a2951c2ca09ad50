/**
 * Uses sockets of Deno under the permissions of this process, and prints the result of each call as JSON.
 */

import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { getOptions, setOptions, tcpInfo, UnsupportedOptionError, wrap } from "../../../mod.ts";

interface Conn {
  close(): void;
}
interface Listener extends Conn {
  addr: { port: number };
  accept(): Promise<Conn>;
}
const { Deno } = globalThis as unknown as {
  Deno: { listen(options: object): Listener; connect(options: object): Promise<Conn> };
};

/** The call's result, or its error. */
function attempt(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof UnsupportedOptionError)) return String(error);
    return { option: error.option, remedy: error.remedy };
  }
}

const results: Record<string, unknown> = {};
const [what = ""] = process.argv.slice(2);
if (what === "descriptor") {
  results["getOptions"] = attempt(() => typeof getOptions({ fd: 3 }).hopLimit);
  results["setOptions"] = attempt(() => setOptions({ fd: 3 }, { hopLimit: 9 }));
} else {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const accepted = await listener.accept();
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const last = await listener.accept();
  for (const [name, native] of Object.entries({ conn, accepted, listener, socket })) {
    if (native !== listener) {
      results[`${name} native`] = attempt(() => {
        setOptions(native as object, { keepAlive: true, noDelay: true });
        return "set";
      });
    }
    results[`${name} setOptions`] = attempt(() =>
      setOptions(native as object, { userTimeout: 9_000 })
    );
    results[`${name} getOptions`] = attempt(() => getOptions(native as object).userTimeout);
    results[`${name} tcpInfo`] = attempt(() => tcpInfo(native as object).state);
  }
  using wrapped = wrap(conn, { timeout: 20 });
  results["wrap"] = await wrapped.read(new Uint8Array(1)).catch((error) => error.name);
  for (const one of [accepted, last, listener]) one.close();
  socket.destroy();
}
console.log(JSON.stringify(results));
