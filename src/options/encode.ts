/**
 * Converts option values to what the kernel stores and back: units, rounding and bytes in one place.
 */

import type { Kernel } from "../kernel/kernel.ts";
import { constants } from "../kernel/constants.ts";
import { lingering } from "../kernel/tcp_socket.ts";
import { type Place, type Row, type RowName, rows } from "./table.ts";

/** A value in the units of the public API. */
export type Value = boolean | number | string | null;

/** Large enough for a struct of two ints and for the name of a congestion control algorithm. */
const bytes = new Uint8Array(16);
const one = bytes.subarray(0, 4);
const two = bytes.subarray(0, 8);
const ints = new Int32Array(bytes.buffer);

/** Converts ms to the kernel's unit. Rounds up, so that no time is shorter than was asked for. */
export function toKernelTime(ms: number, unit: Place["unit"]): number {
  return Math.ceil(unit === "s" ? ms / 1_000 : ms);
}

/** Sets one option in one place. Returns 0 or -errno. */
export function setIn(
  kernel: Kernel,
  fd: number,
  place: Place,
  name: RowName,
  value: Value,
): number {
  if (name === "linger" && value !== null) lingering.possible = true;
  return kernel.setsockopt(
    fd,
    constants[place.level]!,
    constants[place.name]!,
    encode(rows[name], place, value),
  );
}

/** Reads one option from one place. Returns `undefined` when the kernel refuses. */
export function getFrom(kernel: Kernel, fd: number, place: Place, row: Row): Value | undefined {
  const into = row.kind === "name" ? bytes : row.kind === "linger" ? two : one;
  const length = kernel.getsockopt(fd, constants[place.level]!, constants[place.name]!, into);
  return length < 0 ? undefined : decode(row, place, length);
}

/** Encodes a value for the kernel, in memory that the next call overwrites. */
function encode(row: Row, place: Place, value: Value): Uint8Array {
  switch (row.kind) {
    case "name":
      return new TextEncoder().encode(value as string);
    case "linger":
      ints[0] = value === null ? 0 : 1;
      ints[1] = value === null ? 0 : toKernelTime(value as number, place.unit);
      return two;
    case "time":
      ints[0] = value === null ? 0 : toKernelTime(value as number, place.unit);
      return one;
    default:
      ints[0] = Number(value);
      return one;
  }
}

function decode(row: Row, place: Place, length: number): Value {
  const scale = place.unit === "s" ? 1_000 : 1;
  switch (row.kind) {
    case "name": {
      const name = bytes.subarray(0, length);
      const end = name.indexOf(0);
      return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
    }
    case "linger":
      return ints[0] === 0 ? null : ints[1]! * scale;
    case "time":
      return ints[0] === 0 && row.null !== undefined ? null : ints[0]! * scale;
    case "flag":
      return ints[0] !== 0;
    default:
      return ints[0]!;
  }
}
