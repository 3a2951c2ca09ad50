/**
 * Installs compilers, bundlers and linters from npm in their pinned versions, once, into .cache/, and the
 * database and HTTP clients that docs/recipes.md uses.
 */

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import versions from "../versions.json" with { type: "json" };
import { must } from "./process.ts";

/** The directory with the tools' `node_modules`. */
export const tools = (): Promise<string> => installed(versions.tools);

/** The directory with the `node_modules` of one version of koffi. */
export const koffi = (version: string): Promise<string> => installed({ koffi: version });

/** The directory with the clients' `node_modules`. */
export const clients = (): Promise<string> => installed(versions.clients);

/** Node.js of other platforms than this one, which npm installs only when forced. */
export const foreignNodes = (pinned: Record<string, string>): Promise<string> =>
  installed(pinned, "--force");

async function installed(pinned: Record<string, string>, ...flags: string[]): Promise<string> {
  const packages = Object.entries(pinned).map(([name, version]) => `${name}@${version}`);
  const name = createHash("sha1").update(packages.join("+")).digest("hex");
  const directory = resolve(".cache", name);
  if (await exists(directory)) return directory;
  await mkdir(".cache", { recursive: true });
  // A run must not see what another one has installed only half.
  const scratch = await mkdtemp(resolve(".cache", "installing-"));
  await npmInstall(scratch, ...flags, ...packages);
  try {
    await rename(scratch, directory);
  } catch (error) {
    await rm(scratch, { recursive: true });
    if (!await exists(directory)) throw error;
  }
  return directory;
}

/** Runs `npm install` in a directory, and makes it a project before if it is none. */
export async function npmInstall(directory: string, ...packages: string[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  const manifest = join(directory, "package.json");
  if (!await exists(manifest)) {
    await writeFile(manifest, `{ "private": true, "type": "module" }\n`);
  }
  const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  await must("npm", ["install", ...quiet, ...packages], { cwd: directory });
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}
