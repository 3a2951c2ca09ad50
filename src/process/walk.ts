/** Finds out which descriptors have become another socket since the last time. */

import { listed, widestGap } from "../kernel/descriptors.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { adapter } from "../runtime.ts";

/**
 * A new descriptor gets the lowest free number, so the open ones lie close together, and a walk ends where many
 * in a row are closed. A gap grows when many sockets are opened and the older ones closed between two walks, so
 * it may be as long as the time between them in ms, within these limits.
 */
const [leastGap, mostGap] = [64, 1_024];
/** A program can also choose a high number, so one of this many walks looks at all descriptors. */
const thorough = 64;

type Changed = (fd: number, now: Identity, before: Identity) => void;

/** Makes one system call for each descriptor, and does nothing else while none has changed. */
export class Walk {
  readonly #kernel: Kernel;
  /** The identity of each descriptor at the last look; 0 when it is not a socket. */
  readonly #seen: Identity[] = [];
  readonly #gap: number;
  #rounds = 0;

  /** `every`: the time between two walks, ms. */
  constructor(kernel: Kernel, every: number) {
    this.#kernel = kernel;
    this.#gap = Math.min(Math.max(leastGap, every), mostGap);
  }

  /** The highest descriptor of each of these sockets, as of the last look. */
  find(sockets: ReadonlySet<Identity>): Map<Identity, number> {
    const found = new Map<Identity, number>();
    this.#seen.forEach((identity, fd) => sockets.has(identity) && found.set(identity, fd));
    return found;
  }

  /** Calls `changed` for every descriptor that has become another socket, or is not a socket any more. */
  look(changed: Changed): void {
    const seen = this.#seen;
    const [end, most] = this.#bounds();
    let open = 0;
    for (let fd = 0; fd < Math.max(end, open + most); fd++) {
      if (this.lookAt(fd, changed)) open = fd + 1;
    }
    seen.length = open;
  }

  /** Does that for one descriptor. Returns whether it is open. */
  lookAt(fd: number, changed: Changed): boolean {
    const now = identityOf(this.#kernel, fd);
    const before = this.#seen[fd] ?? 0;
    if ((now ?? 0) !== before) {
      this.#seen[fd] = now ?? 0;
      changed(fd, now ?? 0, before);
    }
    return now !== undefined;
  }

  /** How far to look: up to `end`, and then on until so many descriptors in a row are closed. */
  #bounds(): [end: number, gap: number] {
    const end = this.#seen.length;
    if (this.#rounds++ % thorough !== 0) return [end, this.#gap];
    const all = listed(adapter().list);
    if (all === undefined) return [end, widestGap];
    return [all.reduce((most, fd) => Math.max(most, fd + 1), end), this.#gap];
  }
}
