/**
 * Listens in every way that the runtime has on the address of the command line, and prints the results.
 */

import process from "node:process";
import { listen } from "@holdfast/tcp";

const [hostname] = process.argv.slice(2);
for (const options of [{}, { reuseAddress: false }, { reusePort: true }]) {
  try {
    const listener = await listen({ hostname: hostname!, port: 0, timeout: 10_000, ...options });
    console.log("listening");
    listener.close();
  } catch (error) {
    const { name, message } = error as Error;
    console.log(name, message);
  }
}
