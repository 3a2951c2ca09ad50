/**
 * What copies of this module know each other by: one program may load it twice, as ESM and CommonJS or
 * in two versions.
 *
 * @module
 */

const prefix = "@holdfast/tcp.";

/** Lets `instanceof Class` hold for objects of any copy's class of that name. Subclasses stay strict. */
export function brand(Class: { readonly prototype: object }, name: string): void {
  const key = Symbol.for(prefix + name);
  Object.defineProperty(Class.prototype, key, { value: true });
  Object.defineProperty(Class, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (this !== Class) return Function.prototype[Symbol.hasInstance].call(this as never, value);
      return typeof value === "object" && value !== null && key in value;
    },
  });
}

/** One value for all copies, made by the first that asks. */
export function shared<T>(name: string, make: () => T): T {
  const key = Symbol.for(prefix + name);
  const scope = globalThis as unknown as Record<symbol, T | undefined>;
  if (scope[key] === undefined) Object.defineProperty(globalThis, key, { value: make() });
  return scope[key]!;
}

/** One set of objects for all copies. */
export function sharedSet(name: string): WeakSet<object> {
  return shared(name, () => new WeakSet());
}
