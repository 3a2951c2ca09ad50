/** `listen`: checks the options, and opens a listener. */

import type { ListenerTransport } from "./adapter.ts";
import { canonical } from "./dial/hostname.ts";
import { SocketError, toSocketError } from "./errors.ts";
import { listed } from "./kernel/descriptors.ts";
import { unsupported } from "./kernel/obstacle.ts";
import { supportOfListen } from "./options/support.ts";
import { Listener, type Prepare, type TcpListener } from "./listener.ts";
import type { ListenOptions, UnixListenOptions } from "./options/types.ts";
import { bindUnix, type UnixListener } from "./unix.ts";
import { defaultBacklog, type ListenPlan } from "./kernel/listening.ts";
import { portHolder } from "./kernel/port_holder.ts";
import { knownSystem } from "./kernel/system.ts";
import { adapter } from "./runtime.ts";
import { applyPlan, inheritPlan, supportedPlan } from "./options/apply.ts";
import { TlsListener } from "./tls/listener.ts";
import { checkListen, isUnix } from "./options/validate.ts";

/**
 * Listens for TCP connections. `timeout` is required: a number is the read and write timeout of accepted
 * connections, and an object can also limit `accept`. With `reuseAddress` (the default) a server can
 * restart at once on a port whose old connections are in TIME_WAIT, but a second live listener on the
 * port is still refused. Every accepted connection gets the socket options given here.
 *
 * @param options Where, the limits, bind-time options, and socket options for accepted connections.
 * @throws {TypeError | RangeError} An option is unknown, missing or out of range; nothing was bound.
 * @throws {UnsupportedOptionError} An option cannot be set on this platform; nothing was bound.
 * @throws {SocketError} Such as `EADDRINUSE`, `EADDRNOTAVAIL` or `EACCES`.
 *
 * @example An echo server
 * ```ts
 * import { connect, listen } from "@holdfast/tcp";
 *
 * const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 30_000 });
 * (async () => {
 *   for await (const socket of listener) socket.readable.pipeTo(socket.writable).catch(() => {});
 * })();
 *
 * using socket = await connect({ port: listener.addr.port, timeout: 5_000 });
 * await socket.write(new TextEncoder().encode("hello"));
 * console.log(await socket.read(new Uint8Array(64))); // 5
 * listener.close();
 * ```
 */
export function listen(options: ListenOptions): Promise<TcpListener>;
/**
 * Listens on a Unix socket. The file of a socket that a dead process has left is replaced. Closing the
 * listener removes the file.
 *
 * @param options Where, and the limits. Options of TCP are refused.
 * @throws {TypeError | RangeError} An option is unknown, TCP's, missing or out of range.
 * @throws {SocketError} Such as `EADDRINUSE`: another listener has the path, or it is another kind of file.
 */
export function listen(options: UnixListenOptions): Promise<UnixListener>;
export async function listen(
  options: ListenOptions | UnixListenOptions,
): Promise<TcpListener | UnixListener> {
  return isUnix(options) ? await bindUnix(options) : await listenTcp(options as ListenOptions);
}

async function listenTcp(options: ListenOptions): Promise<TcpListener> {
  const { listen: plan, maxPending, timeouts, socket: checked, tls } = checkListen(options);
  const runtime = adapter();
  const socket = supportedPlan(checked, runtime.natives());
  const support = supportOfListen(plan);
  if (support.road === "none") throw unsupported(support.option, support.obstacle);
  const address = plan.fd === undefined ? plan : undefined;
  let transport: ListenerTransport | undefined;
  try {
    transport = await runtime.listen({ ...plan, hostname: canonical(plan.hostname) });
    // Connections that came before the listener had its options did not inherit them.
    let before = inheritPlan(
      runtime.openedHandle(transport.native),
      socket,
      plan.fd === undefined ? (plan.backlog ?? defaultBacklog) + 1 : Infinity,
    );
    const prepare: Prepare = ({ native }) => {
      if (before <= 0) return;
      before--;
      applyPlan(runtime.openedHandle(native), socket.steps);
    };
    const { deadPeerTimeout } = socket;
    const how = { deadPeerTimeout, maxPending, shared: plan.fd !== undefined };
    if (tls !== undefined) {
      const secured = new TlsListener(transport, tls, timeouts.handshake!, prepare);
      return new Listener(secured, timeouts, how);
    }
    return new Listener(transport, timeouts, { ...how, prepare });
  } catch (error) {
    transport?.close();
    throw withHolder(toSocketError(error, "listen", address), plan);
  }
}

/** Adds to an `EADDRINUSE` who has the port, if the system shows it. */
function withHolder(error: Error, { port, reuseAddress }: ListenPlan): Error {
  if (!(error instanceof SocketError) || error.code !== "EADDRINUSE") return error;
  // Where Deno may not list descriptors, it may not read the tables of the kernel either.
  if (knownSystem() !== "linux" || listed(adapter().list) === undefined) return error;
  const holder = portHolder(port, reuseAddress);
  if (holder === undefined) return error;
  const { code, operation, address, cause } = error;
  const detail = `address already in use: ${holder}`;
  return new SocketError({ code, operation, address, cause, detail });
}
