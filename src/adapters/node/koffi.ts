/** System calls through koffi. */

import { type Libc, muslName, signatures } from "../../kernel/libc.ts";
import { builtin } from "../../kernel/system.ts";

/** The part of koffi that is used, https://koffi.dev. */
interface Koffi {
  load(file: string): {
    func(name: string, result: string, parameters: string[]): (...args: never[]) => number;
  };
  errno(): number;
  address(bytes: Uint8Array): bigint;
}

/** Exists in CommonJS, which has no `import.meta`. */
declare const __filename: string | undefined;

const koffiTypes = { i32: "int32_t", u32: "uint32_t", i64: "int64_t", buffer: "void *" };

/** The system calls by koffi, or `undefined` where it is not installed. @throws {Error} It cannot be loaded. */
export function loadKoffi(file: string): Libc | undefined {
  const koffi = requireKoffi();
  if (koffi === undefined) return undefined;
  const library = koffi.load(file);
  const functions: Record<string, unknown> = {
    errno: () => koffi.errno(),
    addressOf: (bytes: Uint8Array) => koffi.address(bytes),
  };
  for (const [name, parameters] of Object.entries(signatures)) {
    const types = parameters.map((type) => koffiTypes[type]);
    functions[name] = library.func(name, "int", types);
  }
  return functions as unknown as Libc;
}

/**
 * Loads koffi from where this package, or the program into which it was bundled, can find it. It is never
 * loaded from the current directory, where anybody may have put a file of that name.
 *
 * @throws {Error} koffi is installed, but cannot be loaded.
 */
function requireKoffi(): Koffi | undefined {
  const file = ownFile();
  if (file === undefined) return undefined;
  // Not named `require`: tools that look for imports would take its argument for one.
  const load = builtin("node:module").createRequire(file);
  let found: string;
  try {
    found = load.resolve("koffi");
  } catch (cause) {
    if ((cause as { code?: string }).code === "MODULE_NOT_FOUND") return undefined;
    throw cause;
  }
  try {
    mustNotAbort(versionBeside(found));
    return load("koffi") as Koffi;
  } catch (cause) {
    const { message, code } = cause as Error & { code?: string };
    throw Object.assign(new Error(`koffi is installed but fails: ${message}`, { cause }), { code });
  }
}

/** The version in the package.json beside a file, which may be missing in what was bundled. */
function versionBeside(file: string): string {
  const { dirname, join } = builtin("node:path");
  try {
    const manifest = join(dirname(file), "package.json");
    const { version } = JSON.parse(builtin("node:fs").readFileSync(manifest, "utf8"));
    return String(version);
  } catch {
    return "unknown";
  }
}

/**
 * Before 3.1.3 koffi could abort the whole process when it was loaded where musl is the C library:
 * https://github.com/Koromix/koffi/issues/273. Can go when nobody has such a version any more.
 *
 * @throws {Error} This is such a version and such a place.
 */
export function mustNotAbort(
  version: string,
  exists: (file: string) => boolean = builtin("node:fs").existsSync,
): void {
  const [major, minor, patch] = version.split(".").map(Number) as [number, number, number];
  const fixed = !(major < 3 || major === 3 && (minor < 1 || minor === 1 && patch < 3));
  if (fixed || !exists(`/lib/ld-${muslName()}`)) return;
  throw new Error(`${version} would end the process under musl, 3.1.3 and later do not`);
}

/** The file of this code, unless it does not exist, as for code that was piped into Node. */
function ownFile(): string | undefined {
  const { existsSync } = builtin("node:fs");
  const file: string | undefined = import.meta.url;
  if (file !== undefined) {
    return file.startsWith("file:") && existsSync(new URL(file)) ? file : undefined;
  }
  // In a bundle in CommonJS. In a single executable application this is the executable.
  return typeof __filename === "string" && existsSync(__filename) ? __filename : undefined;
}
