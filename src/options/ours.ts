/**
 * Which sockets this library opened itself, for the guard, which leaves them alone.
 *
 * Noting one costs a weak reference when it is opened, and nothing afterwards: only a guard asks which
 * descriptor it has.
 *
 * @module
 */

import { shared } from "../brand.ts";
import type { NetAddr } from "../kernel/address.ts";
import type { Entry } from "../kernel/entry.ts";
import type { Identity } from "../kernel/identity.ts";
import type { Guarded } from "./dead_peer.ts";

/** A connection or a listener of ours. */
export interface Ours extends Guarded {
  /** Of a listener. */
  readonly addr?: NetAddr;
}

/** All copies of this module share one. */
const notes = shared("ours", () => ({
  /** What has been opened since a guard has asked last. */
  opened: [] as WeakRef<Ours>[],
  /** So many of them are kept before those that are closed are thrown out. */
  limit: 1_024,
  /** Ports that are being dialled, and how often. */
  dialled: new Map<number, number>(),
  /** Listeners that guards know. */
  listeners: [] as WeakRef<Ours>[],
  /** Sockets that guards know. */
  identities: new Set<Identity>(),
}));

/** A connection or listener of ours is open. */
export function noteOpened(socket: Ours): void {
  notes.opened.push(new WeakRef(socket));
  if (notes.opened.length <= notes.limit) return;
  notes.opened = notes.opened.filter(isOpen);
  notes.limit = Math.max(1_024, 2 * notes.opened.length);
}

/** We dial a port, so whatever connects to it may be ours, until the function returned is called. */
export function noteDialled(port: number): () => void {
  const { dialled } = notes;
  dialled.set(port, (dialled.get(port) ?? 0) + 1);
  return () => {
    const left = dialled.get(port)! - 1;
    if (left === 0) dialled.delete(port);
    else dialled.set(port, left);
  };
}

/** Whether we are dialling a port; without one, whether we are dialling at all. */
export function isDialled(port?: number): boolean {
  return port === undefined ? notes.dialled.size > 0 : notes.dialled.has(port);
}

/** Asks for the descriptors of what was opened since the last time. `identify` may throw. */
export function learnOurs(identify: (socket: Ours) => Identity | undefined): void {
  const { opened, identities, listeners } = notes;
  notes.opened = [];
  notes.listeners = [...listeners, ...opened.filter((ref) => ref.deref()?.addr !== undefined)]
    .filter(isOpen);
  for (const ref of opened) {
    const socket = ref.deref();
    if (socket === undefined || socket.isClosed) continue;
    try {
      const identity = identify(socket);
      if (identity) identities.add(identity);
    } catch {
      // The system has ended it.
    }
  }
}

/** A socket is gone. */
export function forgetOurs(identity: Identity): void {
  notes.identities.delete(identity);
}

/** Whether a socket was opened by us, as far as has been learned. */
export function isOurs({ identity, localAddr, remoteAddr }: Entry): boolean {
  if (notes.identities.has(identity)) return true;
  // The runtime may have accepted it and not said so yet.
  return remoteAddr !== undefined && notes.listeners.some((ref) => {
    const { hostname, port } = ref.deref()?.addr ?? {};
    const any = hostname === "0.0.0.0" || hostname === "::";
    return port === localAddr.port && (any || hostname === localAddr.hostname);
  });
}

function isOpen(ref: WeakRef<Ours>): boolean {
  return ref.deref()?.isClosed === false;
}
