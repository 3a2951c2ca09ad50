/**
 * A program that does not use a guard itself. It fetches, waits, and prints the options of its connections.
 */

import process from "node:process";
import { getOptions, sockets } from "@holdfast/tcp";

const remotePort = Number(process.argv[2]);
const response = await fetch(`http://127.0.0.1:${remotePort}/`);
await response.text();
for (let i = 0; i < 40; i++) {
  const found = sockets({ remotePort }).map((entry) => getOptions(entry));
  const shown = found.map(({ keepAlive, userTimeout }) => ({ keepAlive, userTimeout }));
  if (i === 39 || shown.some(({ userTimeout }) => userTimeout !== null)) {
    console.log(JSON.stringify(shown));
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
}
process.exit(0);
