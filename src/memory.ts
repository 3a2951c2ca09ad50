/**
 * Finds out what memory a caller's `Uint8Array` really covers, as its properties may have been changed.
 */

import { builtin } from "./kernel/system.ts";

/**
 * Bytes that this library returns: `Uint8Array<ArrayBuffer>`, or in TypeScript before 5.7, which does not
 * know that type, `Uint8Array`.
 */
export type Bytes = ReturnType<Uint8ArrayConstructor["of"]>;

/** The getters of this prototype read the engine's own fields, which no program can overwrite. */
const intrinsic = Object.getPrototypeOf(Uint8Array.prototype) as object;

function getter<T>(key: PropertyKey): (this: unknown) => T {
  return Object.getOwnPropertyDescriptor(intrinsic, key)!.get!;
}

const tagOf = getter<string | undefined>(Symbol.toStringTag);
const lengthOf = getter<number>("length");
const offsetOf = getter<number>("byteOffset");
const bufferOf = getter<ArrayBuffer>("buffer");
const { getPrototypeOf, hasOwn } = Object;
const { isView } = ArrayBuffer;
const plain = Uint8Array.prototype;
let buffers: object | undefined;

/**
 * Returns `value` itself when it is a plain `Uint8Array` or `Buffer`. A `Uint8Array` of another class or
 * realm, or with a `length` of its own, is returned as a plain view of its memory, and anything else as
 * `undefined`.
 */
export function bytesOf(value: unknown): Uint8Array | undefined {
  // Nearly always. An engine that has seen the constructor knows the prototype without asking.
  if (
    isView(value) && value.constructor === Uint8Array && getPrototypeOf(value) === plain &&
    !hasOwn(value, "length")
  ) return value as Uint8Array;
  if (tagOf.call(value) !== "Uint8Array") return undefined;
  const bytes = value as Uint8Array;
  const prototype = getPrototypeOf(bytes);
  if (prototype !== plain && prototype !== bufferPrototype()) return part(bytes, 0);
  return hasOwn(bytes, "length") ? part(bytes, 0) : bytes;
}

function bufferPrototype(): object {
  return buffers ??= builtin("node:buffer").Buffer.prototype;
}

/** Like `subarray`, but always returns a plain view, and uses no property of `bytes` itself. */
export function part(bytes: Uint8Array, start: number, end?: number): Uint8Array {
  const size = (end ?? lengthOf.call(bytes)) - start;
  return new Uint8Array(bufferOf.call(bytes), offsetOf.call(bytes) + start, size);
}

/** Whether an array of length 0 is just empty. Otherwise its memory was transferred or became too small. */
export function hasMemory(bytes: Uint8Array): boolean {
  try {
    plain.fill.call(bytes, 0);
    return true;
  } catch {
    return false;
  }
}

/** Copies bytes of `chunk` from `offset` on until `into` is full. Returns how many. */
export function copyInto(chunk: Uint8Array, offset: number, into: Uint8Array): number {
  const size = Math.min(chunk.length - offset, into.length);
  into.set(
    offset === 0 && size === chunk.length ? chunk : chunk.subarray(offset, offset + size),
  );
  return size;
}

/** The same bytes, or a copy of them if a thread could change them while they are encrypted. */
export function unshared(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof ArrayBuffer ? bytes : part(bytes, 0).slice();
}

/** Less is not worth the time that freeing takes. */
const worthFreeing = 4_096;

/**
 * Frees memory that nobody uses any more. Garbage collection would come so late that the memory of every
 * chunk is new, which can take as long as everything else that is done with the chunk.
 */
export function free(bytes: Uint8Array): void {
  // Asking for `buffer` takes time as well.
  if (bytes.length <= worthFreeing) return;
  const buffer = bytes.buffer as ArrayBuffer;
  if (bytes.length === buffer.byteLength) buffer.transfer(0);
}

/** The error for memory that was transferred or resized while a call waited. */
export function changed(verb: string, name: string): TypeError {
  return new TypeError(`Cannot ${verb} as the memory of '${name}' was taken away meanwhile`);
}
