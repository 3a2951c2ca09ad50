/**
 * Decides where new connections of a listening socket go, by small programs of classic BPF that the
 * kernel runs on each of their packets. Linux only.
 */

import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";
import { isLittleEndian } from "./system.ts";
import { writeInt } from "./tcp_socket.ts";

/** `struct sock_filter` in `linux/filter.h`. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const LOAD_BYTE = 0x30;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;

const everything = 0xffff_ffff;
const FLAGS_OFFSET = 13;
const SYN = 0x02;
const ACK = 0x10;

/** Drops SYNs, which clients send again after a second. Handshakes that have begun go on. */
const withoutSyns: readonly Instruction[] = [
  [LOAD_BYTE, 0, 0, FLAGS_OFFSET],
  [AND, 0, 0, SYN | ACK],
  [JUMP_IF_EQUAL, 0, 1, SYN],
  [RETURN, 0, 0, 0],
  [RETURN, 0, 0, everything],
];

/** Keeps new connections from a listener. Returns 0 or -errno. */
export function dropSyns(kernel: Kernel, fd: number): number {
  return attach(kernel, fd, constants.SO_ATTACH_FILTER!, withoutSyns);
}

/** Takes {@linkcode dropSyns} back, as another process may share the listener. */
export function takeSyns(kernel: Kernel, fd: number): void {
  writeInt(kernel, fd, constants.SOL_SOCKET!, constants.SO_DETACH_FILTER!, 0);
}

/**
 * Sends new connections to one of the listeners that share a port by SO_REUSEPORT: `index` counts them
 * from 0 in the order in which they were bound. If there are fewer, the kernel spreads connections
 * over them as before. Returns 0 or -errno.
 */
export function steer(kernel: Kernel, fd: number, index: number): number {
  return attach(kernel, fd, constants.SO_ATTACH_REUSEPORT_CBPF!, [[RETURN, 0, 0, index]]);
}

/** Takes {@linkcode steer} back: the kernel spreads connections over all that share the port. */
export function spread(kernel: Kernel, fd: number): void {
  writeInt(kernel, fd, constants.SOL_SOCKET!, constants.SO_DETACH_REUSEPORT_BPF!, 0);
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
    view.setUint16(at, code, isLittleEndian);
    view.setUint8(at + 2, ifTrue);
    view.setUint8(at + 3, ifFalse);
    view.setUint32(at + 4, value, isLittleEndian);
  });
  // `struct sock_fprog`: the number of instructions, and the address of the first.
  const reference = new Uint8Array(16);
  const fields = new DataView(reference.buffer);
  fields.setUint16(0, program.length, isLittleEndian);
  fields.setBigUint64(8, kernel.addressOf(bytes), isLittleEndian);
  const result = kernel.setsockopt(fd, constants.SOL_SOCKET!, option, reference);
  // The kernel reads `bytes` by address, so they must not be collected before this line.
  return bytes.length > 0 ? result : 0;
}
