/** Keeps the errors of `node:net` sockets, which Deno loses. */

import { identityOf } from "../../kernel/identity.ts";
import { systemError } from "../../kernel/system_error.ts";
import { hasPeer, takeError } from "../../kernel/tcp_socket.ts";
import type { NodeTransport } from "../node/transport.ts";
import { handle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";

/**
 * The kernel reports an error once, and Deno tries each write twice and reports the second error only,
 * EPIPE (https://github.com/denoland/deno/pull/33015). Reading then ends as if the peer had finished. So a
 * write first asks the kernel. Can go when a write after a reset fails with ECONNRESET in Deno;
 * tests/contract/states_test.ts tests that.
 */
export function keepErrors(transport: NodeTransport): void {
  const { native } = transport;
  if (native.encrypted) return;
  transport.takeError = () => undefined;
  const { kernel } = loadKernel();
  if (kernel === undefined || transport.remoteAddr.transport !== "tcp") return;
  try {
    const fd = handle(native)!.fd();
    const identity = identityOf(kernel, fd);
    transport.takeError = () => {
      if (hasPeer(kernel, fd) || identityOf(kernel, fd) !== identity) {
        return undefined;
      }
      const error = takeError(kernel, fd);
      return error < 0 ? systemError(error, "write") : undefined;
    };
  } catch {
    // The peer has gone already, so the descriptor cannot be found.
  }
}
