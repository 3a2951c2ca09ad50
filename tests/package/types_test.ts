/**
 * What the types of the package accept and refuse, in every supported TypeScript.
 */

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { checkTypes, packaged, project, tools } from "./support.ts";

/** The type `Deno.Conn` and its parts, as Deno 2.9 declares them. */
const program = `
import {
  connect, Deadline, getOptions, listen, type ListenOptions, setOptions, type TcpConnection,
} from "@holdfast/tcp";

interface NetAddr { transport: "tcp" | "udp"; hostname: string; port: number }
interface UnixAddr { transport: "unix" | "unixpacket"; path: string }
interface DenoConn {
  read(p: Uint8Array): Promise<number | null>;
  write(p: Uint8Array): Promise<number>;
  close(): void;
  readonly localAddr: NetAddr | UnixAddr;
  readonly remoteAddr: NetAddr | UnixAddr;
  closeWrite(): Promise<void>;
  ref(): void;
  unref(): void;
  readonly readable: ReadableStream<ReturnType<Uint8ArrayConstructor["of"]>>;
  readonly writable: WritableStream<Uint8Array>;
}

export async function uses(socket: TcpConnection): Promise<void> {
  const conn: DenoConn = socket;
  conn.close();
  for await (const line of lines(socket)) line.trim();
  await listen({ port: 0, timeout: null });
  await listen({ fd: 3, timeout: null });
  const options: ListenOptions = { port: 0, timeout: 5_000, backlog: 4 };
  await listen(options);
  await connect({ port: 1, timeout: 5_000, deadline: Deadline.after(5) });
  setOptions(socket, { noDelay: true });
  setOptions(socket.native, { noDelay: true });
  setOptions({ fd: 3 }, { noDelay: true });
  getOptions(await listen(options));
  // @ts-expect-error: where to listen is required
  await listen({ timeout: null });
  // @ts-expect-error: no socket
  setOptions(new Date(), { noDelay: true });
  // @ts-expect-error: not awaited
  setOptions(connect({ port: 1, timeout: 5_000 }), { noDelay: true });
  // @ts-expect-error: no socket
  getOptions([socket]);
  // @ts-expect-error: in words
  getOptions("socket");
}

async function* lines(socket: TcpConnection): AsyncGenerator<string> {
  const reader = socket.readable.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}
`;

/** With the types that users of Node.js have, all of Node's sockets are accepted. */
const nodeProgram = `
import { createServer, Socket } from "node:net";
import { type Agent, createServer as createHttpServer } from "node:http";
import { createSecureServer } from "node:http2";
import { TLSSocket } from "node:tls";
import { connector, setOptions } from "@holdfast/tcp";
export function uses(socket: Socket, secure: TLSSocket, agent: Agent): void {
  const dial = connector({ timeout: 5_000 });
  agent.createConnection = dial;
  agent.createConnection = (target, done) => dial({ ...target, protocol: "https:" }, done);
  const servers = [createServer(), createHttpServer(), createSecureServer()];
  for (const each of [socket, secure, ...servers]) setOptions(each, { keepAlive: true });
}
`;

/** For TypeScript, CommonJS under `node16` cannot `require` a module, whatever Node.js can. */
const commonJs = `
import type { TcpConnection } from "@holdfast/tcp" with { "resolution-mode": "import" };
export async function dial(): Promise<TcpConnection> {
  const { connect } = await import("@holdfast/tcp");
  return await connect({ port: 1, timeout: 5_000 });
}
// @ts-expect-error: TS1479
import { connect } from "@holdfast/tcp";
export const dialling = connect({ port: 1, timeout: 5_000 });
`;

/** The oldest, the one with which `Uint8Array` became generic, and the newest. */
const versions = ["5.4", "5.7", "6.0"];

for (const version of versions) {
  test(`TypeScript ${version}: its types say what fits and what does not`, packaged, async () => {
    const directory = await mkdtemp(join(tmpdir(), "holdfast-types-"));
    try {
      await mkdir(join(directory, "node_modules"));
      await symlink(
        join(project, "node_modules/@holdfast"),
        join(directory, "node_modules/@holdfast"),
      );
      const programs = { "main.mts": program, "node.mts": nodeProgram, "main.cts": commonJs };
      for (const [file, text] of Object.entries(programs)) {
        await writeFile(join(directory, file), text);
      }
      const check = (file: keyof typeof programs, options: object) => ({
        compilerOptions: {
          ...{ module: "nodenext", moduleResolution: "nodenext", target: "es2022" },
          ...{ strict: true, exactOptionalPropertyTypes: true },
          ...{ noEmit: true, preserveSymlinks: true, ...options },
        },
        files: [file],
      });
      const typeRoots = [join(tools, "node_modules/@types")];
      const node16 = { module: "node16", moduleResolution: "node16", types: [] };
      const wrong = await checkTypes(
        [
          check("main.mts", { lib: ["esnext", "dom", "dom.asynciterable"], types: [] }),
          check("node.mts", { lib: ["es2023"], types: ["node"], typeRoots }),
          check("main.cts", { lib: ["esnext", "dom"], ...node16 }),
        ],
        directory,
        version === "6.0" ? "typescript" : `typescript-${version}`,
      );
      assertEquals(wrong, ["", "", ""]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
}
