/**
 * Connects with the options given as JSON and prints, in JSON, how that failed.
 *
 * @module
 */

import process from "node:process";
import { connect, SocketError } from "@holdfast/tcp";

try {
  await connect(JSON.parse(process.argv[2]!));
  console.log("{}");
} catch (error) {
  const { name, code, operation, address, cause } = error as SocketError;
  console.log(JSON.stringify({ name, code, operation, address, cause: cause instanceof Error }));
}
