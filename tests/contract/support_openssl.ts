/**
 * A process of OpenSSL between both ends of a connection, so that one of them speaks TLS with it.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ca, certificate, privateKey } from "../support/certificate.ts";

/** What the process is in TLS. */
export type Role = "server" | "client";

/** Starts at the first use, and ends with the process of the test. */
export class OpenSsl {
  readonly #role: Role;
  #child: ChildProcess | undefined = undefined;
  #before: Promise<unknown> = Promise.resolve();

  constructor(role: Role) {
    this.#role = role;
  }

  /** A port that leads through OpenSSL to `port`. */
  portTo(port: number): Promise<number> {
    const answer = this.#before.then(() => this.#ask(port));
    this.#before = answer;
    return answer;
  }

  async #ask(port: number): Promise<number> {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-openssl-"));
    try {
      const child = this.#child ??= this.#start(directory);
      child.stdin!.write(`${port}\n`);
      let line = "";
      while (!line.endsWith("\n")) {
        const [part] = await once(child.stdout!, "data");
        line += new TextDecoder().decode(part);
      }
      return Number(line);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  #start(directory: string): ChildProcess {
    const pem = { certificate, key: privateKey, ca };
    const files = Object.entries(pem).map(([name, text]) => {
      const file = join(directory, `${name}.pem`);
      writeFileSync(file, text);
      return file;
    });
    const program = fileURLToPath(new URL("programs/openssl.py", import.meta.url));
    const child = spawn("python3", [program, this.#role, ...files], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    // It must not keep the test alive.
    for (const each of [child, child.stdin, child.stdout]) (each as { unref?(): void }).unref?.();
    return child;
  }
}
