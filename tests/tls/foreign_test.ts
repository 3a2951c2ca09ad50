/** TLS with other implementations: OpenSSL's client and server, and PostgreSQL with STARTTLS. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import test from "node:test";
import { connect, listen, startTls, type TcpConnection } from "@holdfast/tcp";
import { assert, assertEquals } from "@std/assert";
import {
  firstDifference,
  patience,
  readExactly,
  sleep,
  streamBytes,
  within,
} from "../contract/support.ts";
import { assertCode } from "../contract/support_listen.ts";
import { freePort, openssl, postgresWithTls } from "../recipes/servers.ts";
import { ca, certificate, privateKey } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** Writes certificate and key to files. */
function files(): { cert: string; key: string; ca: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-openssl-"));
  const write = (name: string, value: string) => {
    const path = join(directory, name);
    writeFileSync(path, value);
    return path;
  };
  return {
    cert: write("cert.pem", certificate),
    key: write("key.pem", privateKey),
    ca: write("ca.pem", ca),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function start(args: string[]): ChildProcess & Disposable {
  const child = spawn(openssl.program!, args, { stdio: ["pipe", "pipe", "pipe"] });
  return Object.assign(child, { [Symbol.dispose]: () => void child.kill("SIGKILL") });
}

async function dialled(port: number, minVersion?: "TLSv1.3"): Promise<TcpConnection> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await connect({
        hostname: "localhost",
        port,
        timeout: patience,
        tls: { ca, minVersion },
      });
    } catch (error) {
      if ((error as { code?: string }).code !== "ECONNREFUSED" || performance.now() > end) {
        throw error;
      }
      await sleep(30);
    }
  }
}

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`openssl s_server ${version} answers`, skip(openssl.missing), async () => {
    using pem = files();
    const port = await freePort();
    const listening = ["-accept", `127.0.0.1:${port}`, "-cert", pem.cert, "-key", pem.key];
    // This server sends every line back, reversed.
    using _server = start(["s_server", "-quiet", version, "-rev", ...listening]);
    using client = await dialled(port);
    assertEquals(client.tls?.protocol, version === "-tls1_2" ? "TLSv1.2" : "TLSv1.3");
    await client.write(text("stressed\n"));
    const answer = await within(patience, readExactly(client, 9));
    assertEquals(new TextDecoder().decode(answer), "desserts\n");
    await client.closeWrite();
    assertEquals(await within(patience, client.read(new Uint8Array(9))), null);
  });

  test(
    `openssl s_client ${version} sends much, and says goodbye`,
    skip(openssl.missing),
    async () => {
      using pem = files();
      using listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        timeout: patience,
        tls: { cert: certificate, key: privateKey },
      });
      const target = ["-connect", `127.0.0.1:${listener.addr.port}`, "-servername", "localhost"];
      const checks = ["-CAfile", pem.ca, "-verify_return_error", "-verify_hostname", "localhost"];
      using child = start(["s_client", "-quiet", "-nocommands", version, ...target, ...checks]);
      using server = await listener.accept();
      assertEquals(server.tls?.serverName, "localhost");
      const size = 1_000_000;
      child.stdin!.write(streamBytes(0, size));
      const received = await within(2 * patience, readExactly(server, size));
      assertEquals(firstDifference(received, 0), -1);
      let back = 0;
      child.stdout!.on("data", (chunk: Uint8Array) => back += chunk.length);
      await server.write(streamBytes(0, size));
      while (back < size) await within(patience, sleep(5));
      server.close();
      await within(patience, new Promise((resolve) => child.once("close", resolve)));
    },
  );
}

test("a stream that openssl's death cuts off is no end", skip(openssl.missing), async () => {
  using pem = files();
  const port = await freePort();
  const listening = ["-accept", `127.0.0.1:${port}`, "-cert", pem.cert, "-key", pem.key];
  using server = start(["s_server", "-quiet", ...listening]);
  using client = await dialled(port);
  server.stdin!.write("half of it\n");
  await within(patience, readExactly(client, 11));
  // When a process is killed, the kernel sends FIN without `close_notify`. It gets SIGSTOP first, since
  // Deno's `kill` closes its input, which it must not notice.
  process.kill(server.pid!, "SIGSTOP");
  await sleep(50);
  process.kill(server.pid!, "SIGKILL");
  await assertCode(within(patience, client.read(new Uint8Array(1))), "ECONNRESET");
});

/** A message of PostgreSQL's protocol 3: type, length, body. */
function message(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(type.length + 4 + body.length);
  bytes.set(text(type));
  new DataView(bytes.buffer).setInt32(type.length, 4 + body.length);
  bytes.set(body, type.length + 4);
  return bytes;
}

test("PostgreSQL: SSLRequest in plain text, then TLS", skip(postgresWithTls.missing), async () => {
  using server = await postgresWithTls.start();
  const { port } = server;
  using plain = await connect({ hostname: "localhost", port, timeout: patience });
  // https://www.postgresql.org/docs/current/protocol-message-formats.html
  await plain.write(Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47));
  assertEquals(new TextDecoder().decode(await readExactly(plain, 1)), "S");
  using socket = await startTls(plain, { ca }, { timeout: patience });
  assert(socket.tls!.protocol.startsWith("TLSv1."));
  assertEquals(socket.tls!.peerCertificate?.subject, "CN=localhost");
  const startup = text("\0\x03\0\0user\0postgres\0database\0postgres\0\0");
  await socket.write(message("", startup));
  await socket.write(
    message("Q", text("select ssl from pg_stat_ssl where pid = pg_backend_pid()\0")),
  );
  let row: Uint8Array | undefined;
  for (let ready = 0; ready < 2;) {
    const head = await readExactly(socket, 5);
    const body = await readExactly(socket, new DataView(head.buffer).getInt32(1) - 4);
    const type = String.fromCharCode(head[0]!);
    assert(type !== "E", new TextDecoder().decode(body));
    if (type === "D") row = body;
    if (type === "Z") ready++;
  }
  // One column, one byte: "t".
  assertEquals([...row!], [0, 1, 0, 0, 0, 1, "t".charCodeAt(0)]);
  await socket.write(message("X", new Uint8Array(0)));
  // PostgreSQL closes with or without `close_notify`.
  await within(patience, socket.read(new Uint8Array(1)).catch(() => null));
});

test(
  "PostgreSQL: a certificate of somebody else is refused",
  skip(postgresWithTls.missing),
  async () => {
    using server = await postgresWithTls.start();
    using plain = await connect({ hostname: "127.0.0.1", port: server.port, timeout: patience });
    await plain.write(Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47));
    await readExactly(plain, 1);
    const securing = startTls(plain, { ca, serverName: "other.example" });
    await assertCode(securing, "ERR_TLS_CERT_ALTNAME_INVALID");
  },
);
