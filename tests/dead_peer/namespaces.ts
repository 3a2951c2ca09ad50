/**
 * Two network namespaces joined by a cable (a veth pair), with a subnet for every row, so that the peer of
 * one row can vanish while the others stay.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";

/** Where the subject runs and where its peers do. */
export interface Network extends Disposable {
  here: string;
  there: string;
}

const prefix = "holdfast";

/** Why there can be no namespaces here, or `undefined`. */
export function noNamespaces(): string | undefined {
  if (process.platform !== "linux") {
    return `network namespaces are Linux's, not ${process.platform}'s`;
  }
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (spawnSync("python3", ["--version"]).status !== 0) return "the peer needs python3";
  const name = `${prefix}-${process.pid}-probe`;
  const { error, stderr } = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  if (error !== undefined) return "network namespaces need ip (iproute2)";
  if (stderr !== "") return `network namespaces are not allowed: ${stderr.trim()}`;
  ip(`netns del ${name}`);
  return undefined;
}

/** Makes both namespaces, with addresses 10.77.N.1 and 10.77.N.2 for N from 0 to `rows`. */
export function openNetwork(rows: number): Network {
  removeStale();
  const here = `${prefix}-${process.pid}-here`;
  const there = `${prefix}-${process.pid}-there`;
  const close = () => {
    for (const name of [here, there]) ip(`netns del ${name}`, false);
  };
  try {
    for (const name of [here, there]) {
      ip(`netns add ${name}`);
      ip(`-n ${name} link set lo up`);
    }
    cable(here, there, "cable0");
    // A second cable, for rows that pull it, which would affect all others.
    cable(here, there, "cable1");
    for (let row = 0; row <= rows; row++) {
      ip(`-n ${here} addr add 10.77.${row}.1/24 dev cable0`);
      ip(`-n ${there} addr add 10.77.${row}.2/24 dev cable0`);
    }
    ip(`-n ${here} addr add 10.77.200.1/24 dev cable1`);
    ip(`-n ${there} addr add 10.77.200.2/24 dev cable1`);
    return { here, there, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

function cable(here: string, there: string, name: string): void {
  ip(`link add ${name} netns ${here} type veth peer name ${name} netns ${there}`);
  for (const end of [here, there]) ip(`-n ${end} link set ${name} up`);
}

/** Removes what a run that was killed has left behind. */
function removeStale(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const [name, pid] of stdout.matchAll(new RegExp(`^${prefix}-(\\d+)-\\w+`, "gm"))) {
    if (!existsSync(`/proc/${pid}`)) ip(`netns del ${name}`, false);
  }
}

/** Runs the program `ip`. */
export function ip(command: string, must: boolean = true): void {
  const { status, stderr } = spawnSync("ip", command.split(" "), { encoding: "utf8" });
  if (must && status !== 0) throw new Error(`ip ${command}: ${stderr}`);
}
