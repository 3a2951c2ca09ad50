/**
 * Uses an address that is not there, on the interface of loopback, by system calls. Prints the names of the
 * errors.
 */

import { connect, listen } from "@holdfast/tcp";

const hostname = "fe80::9%lo";
const timeout = 5_000;
const calls = [
  () => connect({ hostname, port: 9, timeout, prepare() {} }),
  () => listen({ hostname, port: 9, timeout, reuseAddress: false }),
];
for (const call of calls) {
  try {
    await call();
  } catch (error) {
    console.log((error as Error).name);
  }
}
