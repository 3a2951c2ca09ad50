/**
 * Remembers which sockets this library opened itself, since the guard leaves them alone.
 *
 * Each socket is in a group while it is open, and each group has one weak reference. A weak reference for
 * each socket would double the cost of making a connection, and V8 keeps what it refers to until a full
 * collection. The descriptors are looked up only when there is a guard.
 */

import { shared } from "../brand.ts";
import type { NetAddr } from "../kernel/address.ts";
import type { Entry } from "../kernel/entry.ts";
import type { Identity } from "../kernel/identity.ts";

/** A connection or a listener of ours. */
export interface Ours {
  /** The runtime's socket. Reading `native` instead would count as giving it to the caller. */
  readonly inner: object;
  /** Whether we closed it, so that nothing can be set or read any more. */
  readonly isClosed: boolean;
  /** Whether the kernel has no connection any more. */
  readonly gone?: boolean;
  /** Starts `deadPeerTimeout`, or with `undefined` ends it, as other options have replaced it. */
  watchPeer(timeout: number | undefined): void;
  /** Of a listener. */
  readonly addr?: NetAddr;
  /** The group that it belongs to while it is open, and its place there. Set by this file. */
  group: Ours[] | undefined;
  place: number;
}

/**
 * What our connections and listeners have in common. What {@linkcode Ours} needs is in private fields, so that a
 * socket that is printed does not show others.
 */
export abstract class Member implements Pick<Ours, "group" | "place"> {
  #group: Ours[] | undefined = undefined;
  #place = 0;

  get group(): Ours[] | undefined {
    return this.#group;
  }

  set group(group: Ours[] | undefined) {
    this.#group = group;
  }

  get place(): number {
    return this.#place;
  }

  set place(place: number) {
    this.#place = place;
  }

  abstract close(): void;

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** A group has at most so many sockets. While one of them is in use, none of them is collected. */
const groupSize = 64;

/** Shared by all copies of this module in the process. */
const notes = shared("ours", () => ({
  /** The group that still takes sockets. */
  young: [] as Ours[],
  /** The other groups of sockets opened since a guard last looked them up. */
  opened: [] as WeakRef<Ours[]>[],
  /** The length of `opened` at which groups without sockets are removed from it. */
  limit: 64,
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
  const { young } = notes;
  socket.group = young;
  socket.place = young.push(socket) - 1;
  if (young.length === groupSize) beginGroup();
}

/** Notes a connection of ours in its TLS handshake, which takes long. Returns what takes the note back. */
export function noteHandshake(
  transport: { native: object; below?: object | undefined },
): () => void {
  const socket = {
    get inner() {
      return transport.below ?? transport.native;
    },
    isClosed: false,
    watchPeer() {},
    group: undefined,
    place: 0,
  };
  noteOpened(socket);
  return () => noteClosed(socket);
}

/** Takes the note back, as the socket is closed. */
export function noteClosed(socket: Ours): void {
  const { group, place } = socket;
  if (group === undefined) return;
  socket.group = undefined;
  const last = group.pop()!;
  if (last === socket) return;
  group[place] = last;
  last.place = place;
}

function beginGroup(): void {
  notes.opened.push(new WeakRef(notes.young));
  notes.young = [];
  if (notes.opened.length <= notes.limit) return;
  notes.opened = notes.opened.filter((ref) => (ref.deref()?.length ?? 0) > 0);
  notes.limit = Math.max(64, 2 * notes.opened.length);
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
  beginGroup();
  const opened = notes.opened.flatMap((ref) => ref.deref() ?? []);
  notes.opened = [];
  const { identities } = notes;
  notes.listeners = notes.listeners.filter(isOpen);
  for (const socket of opened) {
    const ref = new WeakRef(socket);
    socket.group = undefined;
    if (socket.addr !== undefined) notes.listeners.push(ref);
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
  // The kernel gives no number twice, so with that it is ours also in a duplicate that outlives our `close`.
  // Addresses are used again, so with those it is ours only as long as our socket is open.
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
