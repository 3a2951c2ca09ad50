/**
 * Scopes of link-local IPv6 addresses: people name the interface, the kernel numbers it.
 *
 * @module
 */

import { builtin } from "./system.ts";

/** `fe80::1%eth0` as `fe80::1%2`; anything else as it is. */
export function withScopeNumber(address: string): string {
  const [literal = "", scope] = address.split("%", 2);
  if (scope === undefined || /^\d+$/.test(scope)) return address;
  const { networkInterfaces } = builtin<NodeOS>("node:os")!;
  const entry = networkInterfaces()[scope]?.find((entry) => entry.scopeid);
  return entry === undefined ? address : `${literal}%${entry.scopeid}`;
}

interface NodeOS {
  networkInterfaces(): Record<string, { scopeid?: number }[] | undefined>;
}
