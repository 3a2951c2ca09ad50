/** Dialling in network namespaces: two interfaces, dead and slow addresses, what a SYN has. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cannotSet, firstLine, startRuntime, takeLines, testFile } from "../contract/support.ts";
import { noNamespaces } from "../dead_peer/namespaces.ts";
import { certificate, privateKey } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";
import { cases } from "./cases.ts";
import { openDiallingNetwork } from "./network.ts";

const reason = cannotSet("interface") ?? noNamespaces();
let results: Promise<Map<string, string | undefined>> | undefined;

for (const { name, skipped } of cases) {
  test(name, skip(reason ?? skipped), async () => {
    // All cases run at the first test.
    const failures = await (results ??= run());
    if (!failures.has(name)) throw new Error("It did not run");
    const failure = failures.get(name);
    if (failure !== undefined) throw new Error(failure);
  });
}

/** Runs the cases in the namespace of this side, under the same runtime. Returns how each has failed. */
async function run(): Promise<Map<string, string | undefined>> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-"));
  const file = (name: string) => join(directory, name);
  writeFileSync(file("peer.pem"), `${certificate}\n${privateKey}`);
  using network = openDiallingNetwork(file("hosts"));
  const { here, there } = network;
  const program = (name: string) => testFile(`../dialling/programs/${name}`);
  const command = ["netns", "exec", there, "python3", program("peer.py"), file("peer.pem")];
  const peer = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
  // `ip netns exec` gives the command mounts of its own, so this changes no other process's /etc/hosts.
  const named = ["sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', file("hosts")];
  const through = ["ip", "netns", "exec", here, ...named];
  try {
    await firstLine(peer);
    const subject = startRuntime(program("subject.ts"), [there], { through, stderr: "pipe" });
    const failures = new Map<string, string | undefined>();
    await takeLines(subject, (line) => {
      const { name, failure } = JSON.parse(line) as { name: string; failure?: string };
      failures.set(name, failure);
    });
    return failures;
  } finally {
    peer.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
}
