/**
 * Calls `connect` or `listen` with the options given as JSON and prints, in JSON, how that failed.
 */

import process from "node:process";
import { connect, listen, type SocketError } from "@holdfast/tcp";

const [, , operation, options = ""] = process.argv;
try {
  const socket = operation === "listen"
    ? await listen(JSON.parse(options))
    : await connect(JSON.parse(options));
  socket.close();
  console.log("{}");
} catch (error) {
  const { name, code, operation, address, cause } = error as SocketError;
  const where = { hostname: address?.hostname, port: address?.port };
  console.log(
    JSON.stringify({ name, code, operation, address: where, cause: cause instanceof Error }),
  );
}
