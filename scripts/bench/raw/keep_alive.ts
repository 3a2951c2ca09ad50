/**
 * Keepalive by bare system calls: each one's level, name and value, with Linux's numbers.
 *
 * @module
 */

const [SOL_SOCKET, SO_KEEPALIVE] = [1, 9];
const [IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT] = [6, 4, 5, 6];

const calls: [level: number, name: number, value: Uint8Array][] = [
  [IPPROTO_TCP, TCP_KEEPIDLE, int(60)],
  [IPPROTO_TCP, TCP_KEEPINTVL, int(10)],
  [IPPROTO_TCP, TCP_KEEPCNT, int(3)],
  [SOL_SOCKET, SO_KEEPALIVE, int(1)],
];

/** The C library's function. */
export type Setsockopt = (
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  size: number,
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
