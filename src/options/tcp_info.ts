/** Asks the kernel what it knows about one connection. */

import { layoutObstacle, readTcpInfo, type TcpInfo } from "../kernel/tcp_info.ts";
import { refused } from "../kernel/tcp_socket.ts";
import { kernelFor } from "./support.ts";
import { type Obstacle, unsupported } from "../kernel/obstacle.ts";
import { adapter } from "../runtime.ts";
import { type AnySocket, withHandle } from "./any_socket.ts";

/**
 * Returns what the kernel knows about one connection at this moment.
 *
 * @param socket As for {@linkcode setOptions}.
 * @throws {TypeError} `socket` is not a TCP socket.
 * @throws {UnsupportedOptionError} This system has no such option, or the kernel cannot be asked here.
 * @throws {SocketError} `EBADF` when the socket is closed.
 *
 * @example Round-trip time and what is on the way
 * ```ts
 * import { connect, listen, tcpInfo } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const { state, rtt, unacknowledged } = tcpInfo(socket);
 * console.log(state, rtt < 1_000, unacknowledged); // ESTABLISHED true 0
 * ```
 */
export function tcpInfo(socket: AnySocket): TcpInfo {
  return withHandle(socket, "get TCP info", (handle) => {
    const obstacle = tcpInfoObstacle();
    if (obstacle !== undefined) throw unsupported("tcpInfo", obstacle);
    const info = readTcpInfo(kernelFor("tcpInfo"), handle.fd());
    if (typeof info === "number") throw refused(info);
    return info;
  });
}

/** Why {@linkcode tcpInfo} does not work here, or `undefined` where it does. */
export function tcpInfoObstacle(): Obstacle | undefined {
  return layoutObstacle() ?? adapter().loadKernel().obstacle;
}
