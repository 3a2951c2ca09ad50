/**
 * The npm package as its users get it: packed and installed, however it was built.
 */

import { readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { assertEquals, assertLess, assertMatch } from "@std/assert";
import {
  bundle,
  checkTypes,
  filesOf,
  installed,
  nodes,
  packaged,
  project,
  run,
  tarball,
  tool,
  tools,
  workshop,
} from "./support.ts";

const roundTrip = `
  const listener = await tcp.listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
  const accepted = listener.accept();
  const socket = await tcp.connect({ port: listener.addr.port, timeout: 5_000 });
  const peer = await accepted;
  await socket.write(new TextEncoder().encode("hello"));
  const into = new Uint8Array(16);
  const size = await peer.read(into);
  console.log(new TextDecoder().decode(into.subarray(0, size)));
  for (const each of [socket, peer, listener]) each.close();
`;

test(
  "the package holds a script, its declaration, and two documents",
  packaged,
  async () => {
    const documents = ["LICENSE", "README.md"];
    assertEquals(await filesOf(installed), [
      ...documents,
      ...["esm/guard.js", "esm/mod.js", "package.json", "types/guard.d.ts", "types/mod.d.ts"],
    ]);
  },
);

test("the manifest says what engines, bundlers and npm need", packaged, async () => {
  const manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  assertEquals(manifest.name, "@holdfast/tcp");
  assertMatch(manifest.version, /^\d+\.\d+\.\d+/);
  assertEquals(manifest.type, "module");
  assertEquals(manifest.license, "MIT");
  assertEquals(manifest.sideEffects, ["./esm/guard.js"]);
  assertEquals(manifest.engines, { node: ">=20.19" });
  assertEquals(Object.keys(manifest.exports["."]), ["types", "default"]);
  assertEquals(manifest.exports["."], { types: "./types/mod.d.ts", default: "./esm/mod.js" });
  assertEquals(manifest.dependencies, undefined);
  // npm refuses to install the package beside a koffi that is not in this range.
  assertEquals(manifest.peerDependencies, { koffi: ">=2.16.0" });
  assertEquals(manifest.peerDependenciesMeta, { koffi: { optional: true } });
});

// Without shorter names and longer lines, which would take another 15 kB off, but stacks would not be read.
test("the packed size stays within 100 kB", packaged, async () => {
  const { size } = await stat(tarball);
  assertLess(size, 100_000);
});

test("neither the script nor the declaration imports anything", packaged, async () => {
  const typescript = createRequire(`${tools}/`)("typescript") as {
    preProcessFile(text: string): { importedFiles: { fileName: string }[] };
  };
  for (const file of ["esm/mod.js", "types/mod.d.ts"]) {
    const text = await readFile(join(installed, file), "utf8");
    assertEquals(typescript.preProcessFile(text).importedFiles, []);
  }
});

test("import and require() load it in every supported Node.js", packaged, async () => {
  await workshop(async (directory) => {
    const file = (name: string, text: string) => writeFile(join(directory, name), text);
    await file("a.mjs", `import * as tcp from "@holdfast/tcp";${roundTrip}`);
    await file("b.cjs", `const tcp = require("@holdfast/tcp");(async () => {${roundTrip}})();`);
    for (const each of nodes) {
      for (const script of ["a.mjs", "b.cjs"]) {
        assertEquals(await run(each, [script], directory), "hello", `${script} in ${each}`);
      }
    }
  });
});

test("errors are printed with their class", packaged, async () => {
  await workshop(async (directory) => {
    const text = `import { connect } from "@holdfast/tcp";
      await connect({ port: 1, timeout: 5_000 }).catch((error) => console.log(error));`;
    await writeFile(join(directory, "a.mjs"), text);
    for (const each of nodes) {
      assertMatch(await run(each, ["a.mjs"], directory), /^SocketError: Cannot connect to /);
    }
  });
});

const consumer = `
import { connect, type ConnectOptions, listen, type TcpConnection, TimeoutError } from "@holdfast/tcp";
export async function main(options: ConnectOptions): Promise<number> {
  const socket: TcpConnection = await connect(options);
  try {
    const read: number | null = await socket.read(new Uint8Array(8), { timeout: 20 });
    return read ?? 0;
  } catch (error) {
    if (error instanceof TimeoutError) return error.timeout;
    throw error;
  } finally {
    socket.close();
  }
}
export const listening = listen({ port: 0, timeout: null });
// @ts-expect-error: the timeout is required
connect({ port: 1 });
`;

const typings: [module: string, moduleResolution: string, file: string][] = [
  ["node16", "node16", "consumer.mts"],
  ["nodenext", "nodenext", "consumer.mts"],
  ["nodenext", "nodenext", "consumer.cts"],
  ["esnext", "bundler", "consumer.ts"],
];

/** What TypeScript says against each of them; all are checked at the first call. */
let wrong: Promise<string[]> | undefined;

async function checkTypings(): Promise<string[]> {
  const found: string[] = [];
  await workshop(async (directory) => {
    for (const [, , file] of typings) await writeFile(join(directory, file), consumer);
    const projects = typings.map(([module, moduleResolution, file]) => {
      const project = (more: object) => ({
        compilerOptions: {
          ...{ module, moduleResolution, target: "es2022", noEmit: true },
          ...{ strict: true, exactOptionalPropertyTypes: true, ...more },
        },
        files: [file],
      });
      // Users of Node.js compile without the DOM, here with the declarations of the oldest Node.js.
      const typeRoots = [`${tools}/node_modules/@types`];
      return [
        project({ lib: ["esnext", "dom", "dom.asynciterable"], types: [] }),
        project({ lib: ["es2023"], types: ["node"], typeRoots }),
      ];
    });
    const texts = await checkTypes(projects.flat(), directory);
    typings.forEach((_, i) => found.push(texts[2 * i]! + texts[2 * i + 1]!));
  });
  return found;
}

for (const [i, [, moduleResolution, file]] of typings.entries()) {
  test(`its types hold with moduleResolution ${moduleResolution}, ${file}`, packaged, async () => {
    assertEquals((await (wrong ??= checkTypings()))[i], "");
  });
}

test("esbuild bundles it as a module and as CommonJS", packaged, async () => {
  await workshop(async (directory) => {
    await writeFile(
      join(directory, "app.mjs"),
      `import * as tcp from "@holdfast/tcp";(async () => {${roundTrip}})();`,
    );
    for (const [format, name] of [["esm", "out.mjs"], ["cjs", "out.cjs"]] as const) {
      await bundle("app.mjs", `out/${name}`, format, directory);
      for (const each of nodes) {
        assertEquals(await run(each, [`out/${name}`], directory), "hello", `${name} in ${each}`);
      }
    }
  });
});

test("publint has nothing to say", packaged, async () => {
  await tool("publint", ["run", installed, "--strict", "--pack", "false"], project);
});

test("@arethetypeswrong/cli finds no problem", packaged, async () => {
  // Only Node.js versions that can require() a module are supported.
  await tool("@arethetypeswrong/cli", [tarball, "--profile", "esm-only", "--no-color"], project);
});
