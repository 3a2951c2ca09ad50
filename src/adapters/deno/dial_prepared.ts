/**
 * Dials by system calls, so that a socket can be prepared before its handshake, which `Deno.connect` does
 * not allow. The open connection becomes a `net.Socket`, since Deno's own API takes no descriptors
 * (https://github.com/denoland/deno/issues/26288).
 */

import type { Attempt, Target, Transport } from "../../adapter.ts";
import { race } from "../../dial/happy_eyeballs.ts";
import { type BeforeHandshake, startHandshake } from "../../kernel/handshake.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { coded, systemError } from "../../kernel/system_error.ts";
import { takeError } from "../../kernel/tcp_socket.ts";
import { now, sleep } from "../../time/native_timers.ts";
import { adopt } from "../node/adopt.ts";
import { net } from "../node/net.ts";
import { applyWorkarounds } from "./node_workarounds.ts";
import { askForNet } from "./deno.ts";
import { descriptors } from "./descriptor.ts";
import { loadKernel } from "./kernel.ts";

/** Dials every address of the name, as RFC 8305 says. */
export function dialPrepared(target: Target, before: BeforeHandshake): Attempt {
  askForNet(target);
  const kernel = loadKernel().kernel!;
  return race(
    target,
    (address, _family, port) => new PreparedAttempt(kernel, address, port, before),
  );
}

/** One handshake. */
class PreparedAttempt implements Attempt {
  readonly opened: Promise<Transport>;
  readonly #kernel: Kernel;
  /** -1 when there is no handshake, also after `abort`. */
  #fd = -1;

  constructor(kernel: Kernel, address: string, port: number, before: BeforeHandshake) {
    this.#kernel = kernel;
    this.opened = this.#open(address, port, before);
  }

  async #open(address: string, port: number, before: BeforeHandshake): Promise<Transport> {
    const kernel = this.#kernel;
    const fd = this.#fd = startHandshake(kernel, address, port, before);
    const start = now();
    while (this.#fd >= 0 && !kernel.isWritable(fd)) await pause(now() - start);
    if (this.#fd < 0) throw coded("ECANCELED", "the attempt was called off");
    this.#fd = -1;
    const error = takeError(kernel, fd);
    if (error !== 0) {
      kernel.close(fd);
      throw systemError(error, "connect");
    }
    const { Socket } = net();
    const socket = new Socket({ fd, allowHalfOpen: true, manualStart: true });
    descriptors().remember(socket, fd);
    const transport = adopt(socket);
    if (transport !== undefined) {
      applyWorkarounds(transport);
      return transport;
    }
    socket.destroy();
    throw coded("ECONNRESET", "the peer has gone already");
  }

  fd(): number | undefined {
    return this.#fd < 0 ? undefined : this.#fd;
  }

  abort(): void {
    if (this.#fd < 0) return;
    this.#kernel.close(this.#fd);
    this.#fd = -1;
  }
}

/**
 * Waits before the next look at a handshake, an eighth of the time that it has taken so far. Deno has no event
 * for a bare descriptor, and its few threads, in one of which `poll` could wait, also read files and look up
 * names.
 */
function pause(elapsed: number): Promise<void> {
  return sleep(Math.min(Math.max(elapsed / 8, 1), 100));
}
