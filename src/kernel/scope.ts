/**
 * Scopes of link-local IPv6 addresses. People write the name of the interface, the kernel its number.
 */

import type { Kernel } from "./kernel.ts";
import type { Modules } from "./modules.ts";
import { encode } from "./sockaddr.ts";
import { builtin, systemName } from "./system.ts";
import { coded } from "./system_error.ts";

/**
 * Returns `fe80::1%2` for `fe80::1%eth0`, and everything else as it is. The `kernel` is asked if it is
 * given, as Deno needs a permission for what it knows of interfaces itself.
 *
 * @throws {Error} `ENOTFOUND`: there is no interface of that name, or it has no link-local address.
 */
export function withScopeNumber(address: string, kernel?: Kernel): string {
  if (!address.includes("%")) return address;
  const [literal = "", scope = ""] = address.split("%", 2);
  if (/^\d+$/.test(scope)) return address;
  const number = kernel === undefined
    ? interfaces()[scope]?.find((entry) => entry.scopeid)?.scopeid
    : kernel.interfaceIndex(scope);
  if (!number) throw coded("ENOTFOUND", `no interface ${scope} has such an address`);
  return `${literal}%${number}`;
}

/**
 * The `struct sockaddr` of an IP literal, whose scope may be a name.
 *
 * @throws {Error} As {@linkcode withScopeNumber}.
 */
export function sockaddrOf(kernel: Kernel, address: string, port: number): Uint8Array {
  return encode(withScopeNumber(address, kernel), port);
}

/**
 * Returns the address with the scope as libuv wants it: by name, and on Windows by number
 * (https://github.com/libuv/libuv/blob/v1.52.0/src/uv-common.c `uv_ip6_addr`).
 *
 * @param code The error's code when there is no such interface, as the kernel would report it.
 */
export function withScopeName(address: string, code: "ENETUNREACH" | "ENODEV"): string {
  if (!address.includes("%")) return address;
  const [literal = "", scope] = address.split("%", 2);
  const number = Number(withScopeNumber(address).split("%", 2)[1]);
  for (const [name, entries] of Object.entries(interfaces())) {
    if (!entries?.some((entry) => entry.scopeid === number)) continue;
    return `${literal}%${systemName() === "windows" ? number : name}`;
  }
  throw coded(code, `no interface ${scope} has such an address`);
}

function interfaces(): ReturnType<Modules["node:os"]["networkInterfaces"]> {
  return builtin("node:os").networkInterfaces();
}
