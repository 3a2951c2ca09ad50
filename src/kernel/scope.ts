/**
 * Scopes of link-local IPv6 addresses. People write the name of the interface, the kernel its number.
 *
 * @module
 */

import { builtin, systemName } from "./system.ts";
import { coded } from "./system_error.ts";

/**
 * Returns `fe80::1%2` for `fe80::1%eth0`, and everything else as it is.
 *
 * @throws {Error} `ENOTFOUND`: no interface of that name has a link-local address.
 */
export function withScopeNumber(address: string): string {
  const [literal = "", scope] = address.split("%", 2);
  if (scope === undefined || /^\d+$/.test(scope)) return address;
  const entry = interfaces()[scope]?.find((entry) => entry.scopeid);
  if (entry === undefined) throw coded("ENOTFOUND", `no interface ${scope} has such an address`);
  return `${literal}%${entry.scopeid}`;
}

/**
 * Returns the address with the scope as libuv wants it: by name, and on Windows by number
 * (https://github.com/libuv/libuv/blob/v1.52.0/src/uv-common.c `uv_ip6_addr`).
 *
 * @param code The error's code when there is no such interface, as the kernel would report it.
 */
export function withScopeName(address: string, code: "ENETUNREACH" | "ENODEV"): string {
  const [literal = "", scope] = address.split("%", 2);
  if (scope === undefined) return address;
  const number = Number(withScopeNumber(address).split("%", 2)[1]);
  for (const [name, entries] of Object.entries(interfaces())) {
    if (!entries?.some((entry) => entry.scopeid === number)) continue;
    return `${literal}%${systemName() === "windows" ? number : name}`;
  }
  throw coded(code, `no interface ${scope} has such an address`);
}

function interfaces(): ReturnType<NodeOS["networkInterfaces"]> {
  return builtin<NodeOS>("node:os")!.networkInterfaces();
}

interface NodeOS {
  networkInterfaces(): Record<string, { scopeid?: number }[] | undefined>;
}
