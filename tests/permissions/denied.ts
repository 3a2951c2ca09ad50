/**
 * Tries to listen when system calls are allowed and the network is not. Prints the errors, and waits until
 * its standard input ends.
 */

import process from "node:process";
import { listen } from "../../mod.ts";

const errors = new Set<string>();
for (let i = 0; i < 10; i++) {
  const options = { hostname: "127.0.0.1", port: 0, timeout: 1_000 };
  for (const option of [{ reuseAddress: false }, { ipv6Only: false }, { reusePort: true }]) {
    await listen({ ...options, ...option }).then(
      (listener) => errors.add(`listens at ${listener.addr.port}`),
      ({ name, code }) => errors.add(`${name} ${code}`),
    );
  }
}
console.log([...errors].join());
process.stdin.resume();
