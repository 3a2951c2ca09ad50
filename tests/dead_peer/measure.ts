/**
 * Runs all rows once: makes the namespaces, starts the peer in one and the subject in the other,
 * under the runtime that runs this.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstLine, startRuntime, takeLines, testFile } from "../contract/support.ts";
import { certificate, privateKey } from "../support/certificate.ts";
import { openNetwork } from "./namespaces.ts";

/** The result of one row. */
export interface Result {
  name: string;
  /** What has to happen, in words. */
  expected: string;
  /** What happened: name and code of the error, or "alive". */
  outcome: string;
  /** Which results are right. */
  accepted: string[];
  /** From the moment the peer was gone, ms. */
  ms: number;
  min: number;
  max: number;
  /** What went wrong besides. */
  failure?: string;
  /** The diagnosis of a timeout. */
  diagnosis?: string;
}

const program = (name: string) => testFile(`../dead_peer/programs/${name}`);

/** All rows, those that compare options, those for sockets of other libraries, those of a busy process. */
export type Set = "rows" | "compare" | "guard" | "busy";

/** Runs the rows of a set. */
export async function measure(which: Set = "rows"): Promise<Result[]> {
  using network = openNetwork(80);
  const enter = (namespace: string) => ["ip", "netns", "exec", namespace];
  const directory = await mkdtemp(join(tmpdir(), "holdfast-"));
  const pem = join(directory, "peer.pem");
  await writeFile(pem, `${certificate}\n${privateKey}`);
  const command = [...enter(network.there).slice(1), "python3", program("peer.py"), pem];
  const peer = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
  let subject: ChildProcess | undefined;
  try {
    await firstLine(peer);
    const options = { through: enter(network.here), stderr: "pipe" } as const;
    subject = startRuntime(program("subject.ts"), [network.there, which], options);
    const results: Result[] = [];
    await takeLines(subject, (text) => results.push(JSON.parse(text) as Result));
    return results;
  } finally {
    // Processes that still sleep would keep the namespaces.
    for (const child of [peer, subject]) child?.kill("SIGKILL");
    await rm(directory, { recursive: true });
  }
}
