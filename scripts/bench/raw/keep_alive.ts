/** Keepalive by bare system calls, with Linux's numbers. */

const [SOL_SOCKET, SO_KEEPALIVE] = [1, 9];
const [IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT] = [6, 4, 5, 6];

/** All values of keepalive, with an idle time in seconds. */
export const keepAliveCalls = (idle: number): [level: number, name: number, value: number][] => [
  [IPPROTO_TCP, TCP_KEEPIDLE, idle],
  [IPPROTO_TCP, TCP_KEEPINTVL, 10],
  [IPPROTO_TCP, TCP_KEEPCNT, 3],
  [SOL_SOCKET, SO_KEEPALIVE, 1],
];

const calls = keepAliveCalls(60).map(([level, name, value]) => [level, name, int(value)] as const);

/** The type of the C library's function. */
export type Setsockopt = (
  ...args: [fd: number, level: number, name: number, value: Uint8Array, size: number]
) => number;

function int(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer);
}

/** Sets all values. @throws {Error} The kernel refuses. */
export function setKeepAlive(setsockopt: Setsockopt, fd: number): void {
  for (const [level, name, value] of calls) {
    if (setsockopt(fd, level, name, value, value.length) !== 0) throw new Error("setsockopt");
  }
}
