/**
 * What the installed package loads, from where, and what it prints while loading.
 */

import { cp, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { bundle, execute, installed, node, nodes, packaged, run, workshop } from "./support.ts";

/** A timeout, for whose diagnosis the kernel is asked, and an option that is read from the kernel. */
const program = `
(async () => {
  const listener = await tcp.listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
  const socket = await tcp.connect({ port: listener.addr.port, timeout: 5_000 });
  const error = await socket.read(new Uint8Array(1), { timeout: 20 }).catch((error) => error);
  console.log(error.name + ": " + error.diagnosis);
  try {
    console.log(tcp.getOptions(socket).noDelay);
  } catch (error) {
    console.log(error.name + ": " + error.reason + "; " + error.remedy);
  }
  socket.close();
  listener.close();
})();
`;

/** Writes a package named koffi, of one file, into the `node_modules` of `directory`. */
async function plant(directory: string, code: string): Promise<void> {
  const folder = join(directory, "node_modules", "koffi");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), `{ "name": "koffi", "main": "index.js" }`);
  await writeFile(join(folder, "index.js"), code);
}

const intruder = `
require("node:fs").writeFileSync(process.env.MARK, "");
throw new Error("loaded");`;

/** A working directory of programs, with a false koffi in it. */
async function trapped(work: (cwd: string, marked: () => Promise<boolean>) => Promise<void>) {
  // It is outside of the project, so that no parent directory has a real koffi.
  const cwd = await realpath(await mkdtemp(join(tmpdir(), "holdfast-trap-")));
  try {
    await plant(cwd, intruder);
    await work(cwd, async () => (await readdir(cwd)).includes("mark"));
  } finally {
    await rm(cwd, { recursive: true });
  }
}

/** The program in three forms: a module, one bundled module, and one bundled CommonJS file. */
async function forms(directory: string): Promise<string[]> {
  await writeFile(join(directory, "app.mjs"), `import * as tcp from "@holdfast/tcp";${program}`);
  await bundle("app.mjs", "out/app.mjs", "esm", directory);
  await bundle("app.mjs", "out/app.cjs", "cjs", directory);
  return ["app.mjs", "out/app.mjs", "out/app.cjs"].map((name) => join(directory, name));
}

test("koffi in the current directory is not loaded", packaged, async () => {
  await workshop(async (directory) => {
    const files = await forms(directory);
    await trapped(async (cwd, marked) => {
      const MARK = join(cwd, "mark");
      for (const each of nodes) {
        for (const file of files) {
          const { stdout, stderr } = await execute(each, [file], cwd, { MARK });
          assertMatch(stdout, /^TimeoutError: /, stderr);
          assert(!await marked(), `${file} in ${each}`);
        }
      }
    });
  });
});

test(
  "koffi in the current directory is not loaded by what is piped into Node",
  packaged,
  async () => {
    await workshop(async (directory) => {
      const [, module, script] = await forms(directory);
      await trapped(async (cwd, marked) => {
        const MARK = join(cwd, "mark");
        for (const [type, file] of [["module", module!], ["commonjs", script!]]) {
          const read = await import("node:fs/promises").then((fs) => fs.readFile(file!, "utf8"));
          const args = [`--input-type=${type}`, "-"];
          const { stdout, stderr } = await execute(nodes[0]!, args, cwd, { MARK, input: read });
          assertMatch(stdout, /^TimeoutError: /, stderr);
          assert(!await marked(), type);
        }
      });
    });
  },
);

test("koffi beside the program is found by it and by its bundles", packaged, async () => {
  await workshop(async (directory) => {
    const files = await forms(directory);
    // A copy, since the one that is installed has no koffi beside it.
    await cp(installed, join(directory, "node_modules/@holdfast/tcp"), { recursive: true });
    await plant(directory, intruder);
    await trapped(async (cwd, marked) => {
      const MARK = join(cwd, "mark");
      for (const file of files) {
        await rm(MARK, { force: true });
        await execute(nodes[0]!, [file], cwd, { MARK });
        assert(await marked(), file);
      }
    });
  });
});

test("a single executable application finds koffi beside itself only", packaged, async () => {
  await workshop(async (directory) => {
    const [, , script] = await forms(directory);
    const output = join(directory, "application");
    const config = { main: script, output, disableExperimentalSEAWarning: true };
    await writeFile(join(directory, "sea.json"), JSON.stringify(config));
    await run(node, ["--build-sea", "sea.json"], directory);
    await trapped(async (cwd, marked) => {
      const MARK = join(cwd, "mark");
      const { stdout, stderr } = await execute(output, [], cwd, { MARK });
      assertMatch(stdout, /^TimeoutError: /, stderr);
      assert(!await marked());
      await plant(directory, intruder);
      await execute(output, [], cwd, { MARK });
      assert(await marked());
    });
  });
});

test("a koffi that fails while it is loaded is reported as that", packaged, async () => {
  await workshop(async (directory) => {
    const [file] = await forms(directory);
    await cp(installed, join(directory, "node_modules/@holdfast/tcp"), { recursive: true });
    await plant(directory, `throw new Error("no binary for this system\\nand more")`);
    for (const each of nodes.slice(0, -1)) {
      const [late, refused] = (await run(each, [file!], directory)).split("\n");
      assertMatch(late!, /koffi is installed but fails: no binary for this system \(install/);
      assertMatch(refused!, /^UnsupportedOptionError: .*koffi is installed but fails: no binary/);
    }
  });
});

test("a timeout prints no warning, and its diagnosis says how to get one", packaged, async () => {
  await workshop(async (directory) => {
    const quiet = program.replace("console.log(tcp.getOptions(socket).noDelay);", "");
    await writeFile(join(directory, "app.mjs"), `import * as tcp from "@holdfast/tcp";${quiet}`);
    for (const each of nodes) {
      const { stdout, stderr } = await execute(each, ["app.mjs"], directory);
      assertEquals(stderr, "");
      // On a busy machine the diagnosis begins with how long the event loop was blocked.
      assertMatch(
        stdout,
        /^TimeoutError: .*what the kernel knows is out of reach: .*install koffi/,
      );
    }
  });
});

test("a road to the kernel that is open already is used for the diagnosis", packaged, async () => {
  await workshop(async (directory) => {
    const asked = `import * as tcp from "@holdfast/tcp";tcp.capabilities();${program}`;
    await writeFile(join(directory, "app.mjs"), asked);
    assertMatch(
      await run(node, ["app.mjs"], directory),
      /^TimeoutError: the peer acknowledged everything and is silent/,
    );
  });
});

test(
  "without a global process it loads, and says what is missing when used",
  packaged,
  async () => {
    await workshop(async (directory) => {
      const host = `
      import { readFileSync } from "node:fs";
      import vm from "node:vm";
      const context = vm.createContext({});
      const link = () => { throw new Error("imports something"); };
      const text = readFileSync(process.argv[2], "utf8");
      const module = new vm.SourceTextModule(text, { context });
      await module.link(link);
      await module.evaluate();
      const { connect, listen, capabilities, Deadline } = module.namespace;
      for (const use of [
        () => connect({ port: 1, timeout: 1_000 }),
        () => listen({ port: 0, timeout: 1_000 }),
        () => capabilities(),
      ]) console.log(await new Promise((resolve) => resolve(use())).catch((error) => error.message));
    `;
      await writeFile(join(directory, "host.mjs"), host);
      for (const each of nodes) {
        const args = ["--experimental-vm-modules", "host.mjs", join(installed, "esm/mod.js")];
        const lines = (await run(each, args, directory)).split("\n");
        assertEquals(lines.length, 3);
        for (const line of lines) assertMatch(line, /^Cannot use @holdfast\/tcp here as it needs /);
      }
    });
  },
);
