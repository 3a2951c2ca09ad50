/**
 * Where new connections of a listening socket go: small programs of classic BPF that the kernel runs
 * on each of their packets. Linux.
 *
 * @module
 */

import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";

/** `struct sock_filter` of `linux/filter.h`. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const LOAD_BYTE = 0x30;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;

const everything = 0xffff_ffff;
const FLAGS_OFFSET = 13;
const SYN = 0x02;
const ACK = 0x10;

/** Drops SYNs, which clients send again after a second. Handshakes under way go on. */
const withoutSyns: readonly Instruction[] = [
  [LOAD_BYTE, 0, 0, FLAGS_OFFSET],
  [AND, 0, 0, SYN | ACK],
  [JUMP_IF_EQUAL, 0, 1, SYN],
  [RETURN, 0, 0, 0],
  [RETURN, 0, 0, everything],
];

/** From now on a listener gets no new connections. Returns 0 or -errno. */
export function dropSyns(kernel: Kernel, fd: number): number {
  return attach(kernel, fd, constants.SO_ATTACH_FILTER!, withoutSyns);
}

/** Takes {@linkcode dropSyns} back: another process may have the same listener. */
export function takeSyns(kernel: Kernel, fd: number): void {
  kernel.setsockopt(fd, constants.SOL_SOCKET!, constants.SO_DETACH_FILTER!, new Uint8Array(4));
}

/**
 * New connections go to the listener that was bound as number `index`, from 0, of those that share the
 * port by SO_REUSEPORT. Where there is none of that number, the kernel spreads them as before.
 * Returns 0 or -errno.
 */
export function steer(kernel: Kernel, fd: number, index: number): number {
  return attach(kernel, fd, constants.SO_ATTACH_REUSEPORT_CBPF!, [[RETURN, 0, 0, index]]);
}

function attach(
  kernel: Kernel,
  fd: number,
  option: number,
  program: readonly Instruction[],
): number {
  const size = 8;
  const bytes = new Uint8Array(program.length * size);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    const at = index * size;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, ifTrue);
    view.setUint8(at + 3, ifFalse);
    view.setUint32(at + 4, value, true);
  });
  // `struct sock_fprog`: a length, and where the program is.
  const reference = new Uint8Array(16);
  const fields = new DataView(reference.buffer);
  fields.setUint16(0, program.length, true);
  fields.setBigUint64(8, kernel.addressOf(bytes), true);
  const result = kernel.setsockopt(fd, constants.SOL_SOCKET!, option, reference);
  // Until here the kernel may read it, so it has to stay alive.
  return bytes.length > 0 ? result : 0;
}
