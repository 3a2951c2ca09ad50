/**
 * The option `onread` of `net.Socket`: what arrives is put into memory that is reused, and not emitted.
 */

import type { NodeSocket } from "./net.ts";
import { type OwnedSocket, owner } from "./transport.ts";

/** All sockets with `onread` receive into this memory. The reader copies its bytes before the next read. */
let memory: Uint8Array | undefined;

export function onread(): { buffer: Uint8Array; callback: typeof onRead } {
  return { buffer: memory ??= new Uint8Array(65_536), callback: onRead };
}

/** Names of the keys under which a socket has the parts of its option `onread`. Not documented. */
const names = ["kBuffer", "kBufferCb", "kBufferGen"];

/**
 * Gives the option `onread` to a socket that is paused. Node ignores the option for TLS over an open
 * socket, where memory for each record costs more than its decryption. A version of Node.js without these
 * names reads as before.
 */
export function giveOnread(native: NodeSocket): void {
  const symbols = Object.getOwnPropertySymbols(native);
  const keys = names.map((name) => symbols.find(({ description }) => description === name));
  if (keys.includes(undefined) || native._handle?.useUserBuffer === undefined) return;
  const { buffer, callback } = onread();
  for (const [i, value] of [buffer, callback, null].entries()) {
    (native as unknown as Record<symbol, unknown>)[keys[i]!] = value;
  }
  native._handle.useUserBuffer(buffer);
  // With `onread`, reading from the network has to be paused as well.
  native.pause();
}

/** The callback of `onread`. Node calls it as a method of the socket, like a listener. */
function onRead(this: OwnedSocket, size: number, buffer: Uint8Array): boolean {
  this[owner]!.received(buffer.subarray(0, size), true);
  return true;
}

/** Whether the socket has the option `onread`, with which it emits no `data` events. Not documented. */
export function hasOnread(native: object): boolean {
  return Object.getOwnPropertySymbols(native).some((symbol) =>
    /^(kBuffer|kOnreadBuffer)$/.test(symbol.description ?? "") &&
    Boolean((native as Record<symbol, unknown>)[symbol])
  );
}
