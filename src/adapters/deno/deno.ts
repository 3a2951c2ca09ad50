/** The part of the global `Deno` that is used, and what it permits. */

import type { NetAddr } from "../../kernel/address.ts";

/** A `Deno.TcpConn`, or a `Deno.TlsConn`, which has no setters. */
export interface DenoConn {
  readonly localAddr: NetAddr;
  readonly remoteAddr: NetAddr;
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  ref(): void;
  unref(): void;
  setNoDelay?(on: boolean): void;
  setKeepAlive?(on: boolean): void;
}

/** A `Deno.Listener` or `Deno.TlsListener`. */
export interface DenoListener {
  readonly addr: NetAddr;
  accept(): Promise<DenoConn>;
  close(): void;
  ref(): void;
  unref(): void;
}

/** Deno's internals. Not documented. */
interface DenoCore {
  readSync(resource: number, into: Uint8Array): number;
  /** Returns the promise's state, which is 0 while it is pending, and its value. */
  getPromiseDetails?(promise: Promise<unknown>): [state: number, value: unknown];
}

type Permission = { name: "ffi" } | { name: "net"; host?: string } | { name: "read"; path: string };

interface DenoGlobal {
  permissions: {
    querySync(permission: Permission): { state: string };
    requestSync(permission: Permission): { state: string };
  };
  errors: { NotCapable: new (message: string) => Error };
  connect(options: { hostname: string; port: number; signal: AbortSignal }): Promise<DenoConn>;
  listen(options: { hostname: string; port: number; tcpBacklog?: number }): DenoListener;
  readDirSync(path: string): Iterable<{ name: string }>;
  dlopen(file: string, symbols: Record<string, unknown>): { symbols: Record<string, unknown> };
  UnsafePointer: { of(bytes: Uint8Array): unknown; value(pointer: unknown): bigint };
  UnsafePointerView: new (pointer: unknown) => { getInt32(): number };
  /** The key of the internals. */
  internal: symbol;
}

export function deno(): DenoGlobal {
  return (globalThis as unknown as { Deno: DenoGlobal }).Deno;
}

export function core(): DenoCore | undefined {
  const parts = deno() as unknown as Record<symbol, { core?: DenoCore } | undefined>;
  return parts[deno().internal]?.core;
}

/** Whether a permission is granted. Never prompts. */
export function isGranted(permission: Permission): boolean {
  return deno().permissions.querySync(permission).state === "granted";
}

/**
 * Asks for permission as `Deno.connect` and `Deno.listen` would, since system calls go around Deno's
 * permissions.
 */
export function askForNet({ hostname, port }: { hostname: string; port: number }): void {
  const { permissions, errors } = deno();
  const host = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  if (permissions.requestSync({ name: "net", host }).state === "granted") return;
  throw new errors.NotCapable(
    `Requires net access to "${host}", run again with the --allow-net flag`,
  );
}
