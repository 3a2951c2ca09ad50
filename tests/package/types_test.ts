/**
 * What the types of the package accept and refuse, in every supported TypeScript.
 */

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { skip } from "../support/skip.ts";

const { HOLDFAST_PACKAGE } = process.env;
const { project, tools, nodes }: { project: string; tools: string; nodes: string[] } =
  HOLDFAST_PACKAGE === undefined
    ? { project: "", tools: "", nodes: [] }
    : JSON.parse(HOLDFAST_PACKAGE);
const packaged = skip(
  HOLDFAST_PACKAGE === undefined ? "needs the built package, see scripts/test.ts" : undefined,
);

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
import { createServer as createHttpServer } from "node:http";
import { createSecureServer } from "node:http2";
import { TLSSocket } from "node:tls";
import { setOptions } from "@holdfast/tcp";
export function uses(socket: Socket, secure: TLSSocket): void {
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
      const name = version === "6.0" ? "typescript" : `typescript-${version}`;
      const check = async (text: string, options: object, file = "main.mts") => {
        await writeFile(join(directory, file), text);
        const compilerOptions = {
          ...{ module: "nodenext", moduleResolution: "nodenext", target: "es2022" },
          ...{
            strict: true,
            noEmit: true,
            preserveSymlinks: true,
            skipLibCheck: false,
            ...options,
          },
        };
        const config = JSON.stringify({ compilerOptions, files: [file] });
        await writeFile(join(directory, "tsconfig.json"), config);
        await compile(join(tools, "node_modules", name, "bin/tsc"), directory);
      };
      await check(program, { lib: ["esnext", "dom", "dom.asynciterable"], types: [] });
      const typeRoots = [join(tools, "node_modules/@types")];
      await check(nodeProgram, { lib: ["es2023"], types: ["node"], typeRoots });
      const node16 = { module: "node16", moduleResolution: "node16", types: [] };
      await check(commonJs, { lib: ["esnext", "dom"], ...node16 }, "main.cts");
    } finally {
      await rm(directory, { recursive: true });
    }
  });
}

async function compile(tsc: string, cwd: string): Promise<void> {
  try {
    await promisify(execFile)(nodes.at(-1)!, [tsc, "-p", "tsconfig.json"], { cwd });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout || String(error));
  }
}
