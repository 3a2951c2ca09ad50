/**
 * Lets copies of this module work together: one program may load it twice, as ESM and CommonJS, or in
 * two versions.
 */

const prefix = "@holdfast/tcp.";

/**
 * Makes `instanceof Class` true for objects of the class of that name in every copy. For subclasses,
 * `instanceof` works as usual.
 */
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

/** A value that all copies share. The first copy that asks for it makes it. */
export function shared<T>(name: string, make: () => T): T {
  const key = Symbol.for(prefix + name);
  const scope = globalThis as unknown as Record<symbol, T | undefined>;
  if (scope[key] === undefined) Object.defineProperty(globalThis, key, { value: make() });
  return scope[key]!;
}

/** A set of objects that all copies share. */
export function sharedSet(name: string): WeakSet<object> {
  return shared(name, () => new WeakSet());
}
