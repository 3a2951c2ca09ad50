/**
 * Real servers. Each is started by the test that needs it, on a free port of loopback and with a directory
 * of its own, and is stopped with the test.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { basename, delimiter, join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { patience, sleep } from "../contract/support.ts";
import { certificate, privateKey } from "../support/certificate.ts";
import { webServer } from "../support/web.ts";

export interface Server extends Disposable {
  port: number;
}

/** A kind of server, and the reason if it is not installed here. */
export interface Service {
  missing: string | undefined;
  /** Starts the server on `address`, which includes 127.0.0.1. */
  start(address?: string): Promise<Server>;
}

function find(program: string, ...more: string[]): string | undefined {
  return [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", ...more]
    .map((directory) => join(directory, program))
    .find((file) => existsSync(file));
}

/** A free port. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return await new Promise((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy()) as boolean;
}

/**
 * Runs a server until it is disposed of. `stop` is the signal that ends it at once. `ready` is what it
 * prints when it answers, if that is later than it listens.
 */
async function running(
  [command, ...args]: string[],
  port: number,
  directory: string,
  stop: NodeJS.Signals,
  ready: RegExp = /^/,
): Promise<Server> {
  const child = spawn(command!, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
  }
  const kill = () => {
    child.kill(stop);
    if (child.exitCode === null && stop !== "SIGKILL") reap(child);
    rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
  const end = performance.now() + 3 * patience;
  while (!ready.test(output) || !await accepts(port)) {
    if (child.exitCode !== null || performance.now() > end) {
      kill();
      throw new Error(`${command} did not start (${child.exitCode}): ${output}`);
    }
    await sleep(30);
  }
  return { port, [Symbol.dispose]: kill };
}

/** Waits synchronously until a process has ended. */
function reap(child: ChildProcess): void {
  spawnSync("sh", ["-c", `for i in $(seq 50); do kill -0 ${child.pid} || exit; sleep 0.05; done`]);
}

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));
const temporary = (name: string) => mkdtempSync(join(tmpdir(), `holdfast-${name}-`));

/**
 * Puts an empty database into `data`. To make one takes ten times the CPU time of a copy, and on a busy disk
 * ten seconds, so there is one for each version of the server.
 */
function database(data: string, init: string[], server: string): void {
  const template = `${cache}${basename(server)}-${Math.trunc(statSync(server).mtimeMs)}`;
  if (existsSync(template)) return must(["cp", "-a", template, data]);
  must(init);
  // Others must not see one that is copied only half.
  const scratch = mkdtempSync(`${template}-`);
  must(["cp", "-a", data, scratch]);
  try {
    renameSync(join(scratch, basename(data)), template);
  } catch (error) {
    if (!existsSync(template)) throw error;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const redisServer = find("redis-server");

export const redis: Service = {
  missing: redisServer ? undefined : "needs a Redis server: install redis-server",
  async start(address = "127.0.0.1") {
    const port = await freePort();
    const directory = temporary("redis");
    const options = ["--bind", address, "--port", String(port), "--protected-mode", "no"];
    const args = [...options, "--dir", directory, "--save", ""];
    return await running([redisServer!, ...args], port, directory, "SIGKILL");
  },
};

const versions = "/usr/lib/postgresql";
const postgresFolders = existsSync(versions)
  ? readdirSync(versions).map((version) => join(versions, version, "bin"))
  : [];
const initdb = find("initdb", ...postgresFolders);
const postgresServer = find("postgres", ...postgresFolders);

/** The user for PostgreSQL, which refuses to run as root. */
const asPostgres = process.getuid?.() === 0
  ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
  : [];

/** OpenSSL's own client and server. */
export const openssl: { program: string | undefined; missing: string | undefined } = {
  program: find("openssl"),
  missing: find("openssl") ? undefined : "needs OpenSSL's command: install openssl",
};

const missingPostgres = initdb && postgresServer
  ? undefined
  : "needs a PostgreSQL server: install postgresql";

export const postgres: Service = {
  missing: missingPostgres,
  start: (address) => startPostgres(address, false),
};

/** PostgreSQL with the test certificate, so that clients can use TLS. */
export const postgresWithTls: Service = {
  missing: missingPostgres,
  start: (address) => startPostgres(address, true),
};

async function startPostgres(address = "127.0.0.1", secure: boolean): Promise<Server> {
  const port = await freePort();
  const directory = temporary("postgres");
  if (asPostgres.length > 0) give(directory, "postgres");
  const data = join(directory, "data");
  const init = [initdb!, "--auth=trust", "--username=postgres", "--no-sync", "-D", data];
  database(data, [...asPostgres, ...init], postgresServer!);
  appendFileSync(join(data, "pg_hba.conf"), "host all all 0.0.0.0/0 trust\n");
  const tls = secure ? ["-c", "ssl=on"] : [];
  for (
    const [name, pem] of secure ? [["server.crt", certificate], ["server.key", privateKey]] : []
  ) {
    const path = join(data, name!);
    writeFileSync(path, pem!, { mode: 0o600 });
    if (asPostgres.length > 0) give(path, "postgres");
  }
  const place = ["-D", data, "-p", String(port), "-h", address, "-k", "", ...tls];
  const command = [...asPostgres, postgresServer!, ...place, "-F", "-c", "lc_messages=C"];
  // SIGQUIT ends it without waiting for clients.
  return await running(command, port, directory, "SIGQUIT", /ready to accept connections/);
}

const mariadbd = find("mariadbd");
const installDb = find("mariadb-install-db");
const mysqlUser = process.getuid?.() === 0 ? ["--user=mysql"] : [];

export const mysql: Service = {
  missing: mariadbd && installDb ? undefined : "needs a MySQL server: install mariadb-server",
  async start(address = "127.0.0.1") {
    const port = await freePort();
    const directory = temporary("mariadb");
    if (mysqlUser.length > 0) give(directory, "mysql");
    const data = join(directory, "data");
    // In the default directory, a server that starts removes the temporary tables of all others.
    const places = [`--datadir=${data}`, `--tmpdir=${directory}`];
    const options = ["--no-defaults", ...places, "--innodb-log-file-size=4M", ...mysqlUser];
    const init = [installDb!, ...options, "--auth-root-authentication-method=normal"];
    database(data, init, mariadbd!);
    // Lets other machines log in, and looks up no names.
    const open = address === "127.0.0.1" ? [] : ["--skip-grant-tables", "--skip-name-resolve"];
    const args = [`--socket=${join(directory, "socket")}`, `--port=${port}`];
    return await running(
      [mariadbd!, ...options, ...args, `--bind-address=${address}`, ...open],
      port,
      directory,
      "SIGKILL",
    );
  },
};

function must([command, ...args]: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command!, args, {
    cwd: tmpdir(),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stdout}${stderr}`, error);
}

function give(directory: string, user: string): void {
  const id = (flag: string) => Number(spawnSync("id", [flag, user], { encoding: "utf8" }).stdout);
  chownSync(directory, id("-u"), id("-g"));
  chmodSync(directory, 0o700);
}

/** An HTTP server of this process. */
export const web: Service = {
  missing: undefined,
  start: () => webServer(),
};

/** Enough for a channel of gRPC to be ready: that is a matter of HTTP/2 alone. */
export const grpc: Service = {
  missing: undefined,
  async start() {
    const server = createHttp2Server();
    const sessions = new Set<ServerHttp2Session>();
    server.on("session", (session) => sessions.add(session));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
      port: (server.address() as AddressInfo).port,
      [Symbol.dispose]() {
        server.close();
        for (const session of sessions) session.destroy();
      },
    };
  },
};

/**
 * Debian has no MongoDB since its licence changed. The real driver against a listener that says to every
 * command that it is a server, and all is well: which socket gets which options is the same.
 */
export const mongodb: Service = {
  missing: undefined,
  async start() {
    const { serialize } = createRequire(join(process.env["HOLDFAST_CLIENTS"]!, "package.json"))(
      "bson",
    ) as { serialize(document: object): Uint8Array };
    const document = serialize({
      ok: 1,
      isWritablePrimary: true,
      minWireVersion: 0,
      maxWireVersion: 21,
    });
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket.on("error", () => {}));
      let got = Buffer.alloc(0);
      socket.on("data", (data) => {
        got = Buffer.concat([got, data]);
        while (got.length >= 16 && got.length >= got.readInt32LE(0)) {
          socket.write(mongoReply(got, document));
          got = got.subarray(got.readInt32LE(0));
        }
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
      port: (server.address() as AddressInfo).port,
      [Symbol.dispose]() {
        server.close();
        for (const socket of sockets) socket.destroy();
      },
    };
  },
};

/** OP_MSG, or to the first greeting OP_REPLY: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ */
function mongoReply(request: Buffer, document: Uint8Array): Buffer {
  const greeted = request.readInt32LE(12) === 2004;
  const head = Buffer.alloc(greeted ? 36 : 21);
  head.writeInt32LE(head.length + document.length, 0);
  head.writeInt32LE(request.readInt32LE(4), 8);
  head.writeInt32LE(greeted ? 1 : 2013, 12);
  if (greeted) head.writeInt32LE(1, 32);
  return Buffer.concat([head, document]);
}

/** Stands for no server, since the example listens itself. */
export const itself: Service = {
  missing: undefined,
  start: async () => ({ port: await freePort(), [Symbol.dispose]() {} }),
};
