/**
 * Which descriptors have become another socket since the last look.
 *
 * @module
 */

import { listed } from "../kernel/descriptors.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { adapter } from "../runtime.ts";
import { widestGap } from "./sockets.ts";

/**
 * New descriptors are the lowest free numbers, so those that are open lie close together: a walk ends when
 * so many in a row are closed.
 */
const gap = 64;
/** Whoever wants a descriptor far up can have one, so now and then every one is looked at. */
const thorough = 64;

/** One system call for each descriptor, and nothing else while they stay as they are. */
export class Walk {
  readonly #kernel: Kernel;
  /** What each descriptor was at the last look; 0 when it is no socket. */
  readonly #seen: Identity[] = [];
  #rounds = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Calls `changed` for every descriptor that has become another socket, or none. */
  look(changed: (fd: number, now: Identity, before: Identity) => void): void {
    const seen = this.#seen;
    const [end, most] = this.#bounds();
    let open = 0;
    for (let fd = 0; fd < Math.max(end, open + most); fd++) {
      const now = identityOf(this.#kernel, fd);
      const before = seen[fd] ?? 0;
      if (now !== undefined) open = fd + 1;
      if ((now ?? 0) === before) continue;
      seen[fd] = now ?? 0;
      changed(fd, now ?? 0, before);
    }
    seen.length = open;
  }

  /** All descriptors that are known to be open are below the first; the second is how far to look on. */
  #bounds(): [end: number, gap: number] {
    const end = this.#seen.length;
    if (this.#rounds++ % thorough !== 0) return [end, gap];
    const all = listed(adapter().list);
    if (all === undefined) return [end, widestGap];
    return [all.reduce((most, fd) => Math.max(most, fd + 1), end), gap];
  }
}
