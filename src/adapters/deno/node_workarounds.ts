/** Keeps what the sockets of Deno's `node:net` lose: errors, and writes that wait. */

import { identityOf } from "../../kernel/identity.ts";
import { succeed, systemError } from "../../kernel/system_error.ts";
import { hasPeer, takeError } from "../../kernel/tcp_socket.ts";
import type { NodeTransport } from "../node/transport.ts";
import { handle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";

/**
 * The kernel reports an error once, and Deno tries each write twice and reports the second error only,
 * EPIPE (https://github.com/denoland/deno/pull/33015). Reading then ends as if the peer had finished. So a
 * write first asks the kernel. Can go when a write after a reset fails with ECONNRESET in Deno;
 * tests/contract/states_test.ts tests that.
 *
 * When the peer finishes before it has sent a byte, Deno also fails writes that wait, and loses their data
 * (https://github.com/denoland/deno/blob/v2.9.5/libs/core/uv_compat/tcp.rs#L1508). So until then it is given
 * none. Can go when such a write succeeds.
 */
export function applyWorkarounds(transport: NodeTransport): void {
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
    const { send } = kernel;
    if (send === undefined) return;
    transport.sendBy((data) =>
      native.bytesRead === 0 && identityOf(kernel, fd) === identity
        ? succeed(send(fd, data), "send")
        : undefined
    );
  } catch {
    // The peer has gone already, so the descriptor cannot be found.
  }
}
