/**
 * Dials: the handshake is started by system calls, and Bun takes the descriptor over.
 *
 * `Bun.connect` itself cannot be aborted, has no handle before `open`, and reports an unreachable network
 * or host as refused (https://github.com/oven-sh/bun/pull/37093). For a descriptor that is still
 * connecting, Bun calls `drain` when the handshake is done, or `close` with the kernel's error. Can go
 * when `Bun.connect` takes an AbortSignal and keeps the error.
 */

import type { Attempt, Outgoing, Target, Transport } from "../../adapter.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { SocketError } from "../../errors.ts";
import { race } from "../../dial/happy_eyeballs.ts";
import { type BeforeHandshake, startHandshake } from "../../kernel/handshake.ts";
import { knownAddress } from "../../kernel/sockaddr.ts";
import { Settling } from "../../time/settling.ts";
import { connect as connectNode } from "../node/connect.ts";
import { loadKernel } from "./kernel.ts";
import { type BunSocket, type Receiver, takeOver } from "./socket.ts";
import { BunTransport } from "./transport.ts";

/** Dials. Without system calls (on Windows) Bun's `node:net` does it, whose attempts can be aborted. */
export function connect(target: Target): Attempt {
  const { kernel } = loadKernel();
  if (kernel === undefined) return connectNode(target);
  const { before } = target;
  return race(target, (address, _family, port) => new Dial(kernel, address, port, before));
}

/** One handshake. */
class Dial implements Attempt, Outgoing, Receiver {
  readonly #settling = new Settling<Transport>();
  readonly opened: Promise<Transport> = this.#settling.promise;
  readonly #remote: NetAddr | undefined;
  #transport: BunTransport | undefined = undefined;
  #over = false;

  constructor(kernel: Kernel, address: string, port: number, before?: BeforeHandshake) {
    this.#remote = knownAddress(address, port);
    try {
      takeOver(startHandshake(kernel, address, port, before), this).catch((cause) =>
        this.failed(cause)
      );
    } catch (cause) {
      this.failed(cause);
    }
  }

  abort(): void {
    if (this.#over) return;
    this.failed(new Error("The attempt was called off"));
    this.#transport?.close();
  }

  fd(): number | undefined {
    return this.#transport?.native.fd;
  }

  /** Called within `Bun.connect`, when Bun has taken the descriptor. The handshake goes on. */
  open(socket: BunSocket): void {
    this.#transport = new BunTransport(socket).collect();
    this.#transport.connecting(this);
  }

  /** Called when the handshake is done. */
  drained(): void {
    const transport = this.#transport!;
    if (!transport.locate({ remote: this.#remote })) {
      transport.close();
      return this.failed(new SocketError({ code: "ECONNRESET", operation: "connect" }));
    }
    this.#over = true;
    this.#settling.resolve(transport);
  }

  failed(cause: unknown): void {
    this.#over = true;
    this.#settling.reject(cause);
  }
}
