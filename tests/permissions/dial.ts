/**
 * Dials each address of the command line, with or without `prepare` as the first argument says, and prints
 * the results.
 */

import process from "node:process";
import { connect } from "@holdfast/tcp";

const [how, ...addresses] = process.argv.slice(2);
for (const address of addresses) {
  const [hostname, port] = address.split(":");
  try {
    const socket = await connect({
      hostname: hostname!,
      port: Number(port),
      timeout: 10_000,
      ...how === "prepared" && { prepare() {} },
    });
    console.log("connected");
    socket.close();
  } catch (error) {
    const { name, message } = error as Error;
    console.log(name, message);
  }
}
