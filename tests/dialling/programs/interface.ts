/**
 * Dials with `interface` from a socket that is not bound to one yet, and from one that is. Prints the source
 * address that the peer has seen, or the error's code, of each.
 */

import {
  connect,
  type ConnectOptions,
  constants,
  setsockopt,
  type SocketError,
} from "@holdfast/tcp";
import { peer } from "../network.ts";
import { greeting } from "../seen.ts";

async function outcome(options: Partial<ConnectOptions>): Promise<string> {
  const target = { hostname: peer.first, port: 7001, timeout: 5_000, interface: "cable1" };
  try {
    using socket = await connect({ ...target, ...options });
    return (await greeting(socket)).from;
  } catch (error) {
    return (error as SocketError).code;
  }
}

const prepare = (socket: { fd: number }) => {
  const { SOL_SOCKET, SO_BINDTODEVICE } = constants;
  setsockopt(socket, SOL_SOCKET!, SO_BINDTODEVICE!, new TextEncoder().encode("cable0\0"));
};
console.log(JSON.stringify({ bound: await outcome({}), boundAgain: await outcome({ prepare }) }));
