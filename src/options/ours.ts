/**
 * Remembers which sockets this library opened itself, since the guard leaves them alone.
 *
 * A connection that is closed soon costs nothing but a place in a list, and any other a weak reference. The
 * descriptors are looked up only when there is a guard.
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
  /** Its place among the young ones, -1 when it is not one of them. Set by this file. */
  place: number;
}

/**
 * So many open sockets have no weak reference yet. V8 takes what such a reference refers to for alive until
 * a full collection, and so would copy every connection twice, which made each connect a twentieth dearer.
 */
const mostYoung = 64;

/** Shared by all copies of this module in the process. */
const notes = shared("ours", () => ({
  /** The youngest sockets that are open. */
  young: [] as Ours[],
  /** The others that were opened since a guard last looked them up. */
  opened: [] as WeakRef<Ours>[],
  /** The length of `opened` at which closed sockets are removed from it. */
  limit: 1_024,
  /** How many attempts are dialling each port, and all. */
  dialled: new Uint32Array(65_536),
  dialling: 0,
  /** Listeners of ours, as far as they were looked up. */
  listeners: [] as WeakRef<Ours>[],
  /** Sockets of ours by identity, as far as they were looked up. */
  identities: new Map<Identity, WeakRef<Ours>>(),
  /** The size of `identities` at which closed sockets are removed from it. */
  most: 1_024,
}));

/** Notes that a connection or listener of ours was opened. */
export function noteOpened(socket: Ours): void {
  socket.place = notes.young.push(socket) - 1;
  if (notes.young.length === mostYoung) age();
}

/** Takes the note back, as the socket is closed. */
export function noteClosed(socket: Ours): void {
  const { place } = socket;
  if (place < 0) return;
  socket.place = -1;
  const last = notes.young.pop()!;
  if (last === socket) return;
  notes.young[place] = last;
  last.place = place;
}

/** Replaces the young ones by weak references. */
function age(): void {
  for (const socket of notes.young.splice(0)) {
    socket.place = -1;
    notes.opened.push(new WeakRef(socket));
  }
  if (notes.opened.length <= notes.limit) return;
  notes.opened = notes.opened.filter(isOpen);
  notes.limit = Math.max(1_024, 2 * notes.opened.length);
}

/** Notes that we are dialling a port, so that a socket connecting to it may be ours. */
export function noteDialling(port: number): void {
  notes.dialled[port]!++;
  notes.dialling++;
}

/** Takes the note back. */
export function forgetDialling(port: number): void {
  notes.dialled[port]!--;
  notes.dialling--;
}

/** Whether we are dialling `port`, or any port when it is left out. */
export function isDialled(port?: number): boolean {
  return port === undefined ? notes.dialling > 0 : notes.dialled[port]! > 0;
}

/** Looks up the identities of the sockets opened since the last time. `identify` may throw. */
export function learnOurs(identify: (socket: Ours) => Identity | undefined): void {
  age();
  const { opened, identities, listeners } = notes;
  notes.opened = [];
  notes.listeners = [...listeners, ...opened.filter((ref) => ref.deref()?.addr !== undefined)]
    .filter(isOpen);
  for (const ref of opened) {
    const socket = ref.deref();
    if (socket === undefined || socket.isClosed) continue;
    try {
      const identity = identify(socket);
      if (identity) identities.set(identity, ref);
    } catch {
      // The system has ended the connection.
    }
  }
  if (identities.size <= notes.most) return;
  for (const [identity, ref] of identities) if (!isOpen(ref)) identities.delete(identity);
  notes.most = Math.max(1_024, 2 * identities.size);
}

/** Whether a socket was opened by us, as far as our sockets were looked up. */
export function isOurs({ identity, localAddr, remoteAddr }: Entry): boolean {
  const known = notes.identities.get(identity);
  // A number is never given twice, so it is ours also in a duplicate that outlives our `close`. Addresses are.
  if (known !== undefined && (typeof identity === "number" || isOpen(known))) return true;
  // Our listener's runtime may have accepted the connection without having reported it yet.
  return remoteAddr !== undefined && notes.listeners.some((ref) => {
    const { hostname, port } = ref.deref()?.addr ?? {};
    const any = hostname === "0.0.0.0" || hostname === "::";
    return port === localAddr.port && (any || hostname === localAddr.hostname);
  });
}

function isOpen(ref: WeakRef<Ours>): boolean {
  return ref.deref()?.isClosed === false;
}
