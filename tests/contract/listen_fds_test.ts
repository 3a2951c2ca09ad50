/** Socket activation: descriptors that a service manager has passed to a process. */

import { assertEquals } from "@std/assert";
import { execFileSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { connect, listen, listenFds } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  cannotSet,
  firstLine,
  noTables,
  patience,
  readExactly,
  socketsOf,
  startRuntime,
  testFile,
  until,
  within,
} from "./support.ts";
import { descriptorOf, noKernel } from "./support_listen.ts";

const v4 = "127.0.0.1";
const program = testFile("programs/socket_activated.ts");

interface Report {
  passed: { fd: number; name: string }[];
  again: unknown[];
  left: Record<string, string | undefined>;
  addresses: { hostname: string; port: number }[];
  kept: boolean;
}

/** `sh` starts the program with `exec`, so that it has the process id that LISTEN_PID names. */
const activate = (names: string) => [
  ...["sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=${names} exec "$@"`, "sh"],
];

test("listenFds: nothing without a service manager, nor what is another process's", () => {
  assertEquals(listenFds(), []);
  process.env.LISTEN_PID = "1";
  process.env.LISTEN_FDS = "2";
  try {
    assertEquals(listenFds(), []);
    assertEquals(process.env.LISTEN_FDS, "2");
  } finally {
    delete process.env.LISTEN_PID;
    delete process.env.LISTEN_FDS;
  }
});

test("listenFds: a count that is none is a RangeError", () => {
  for (const count of ["", "-1", "two", "1e3"]) {
    process.env.LISTEN_PID = String(process.pid);
    process.env.LISTEN_FDS = count;
    let message = "";
    try {
      listenFds();
    } catch (error) {
      message = error instanceof RangeError ? error.message : "";
    } finally {
      delete process.env.LISTEN_PID;
      delete process.env.LISTEN_FDS;
    }
    assertEquals(
      message,
      "Cannot list passed descriptors as 'LISTEN_FDS' must be a number of descriptors: " +
        `current value is ${JSON.stringify(count)}`,
    );
  }
});

for (const [names, name] of [["web", "web"], ["", "unknown"]] as const) {
  test(
    `listenFds: a passed listener by the name ${name}, which no child inherits`,
    skip(noTables ?? cannotSet("fd")),
    async () => {
      const listener = await listen({ hostname: v4, port: 0, timeout: patience });
      const { addr } = listener;
      const child = startRuntime(program, [], {
        fd: descriptorOf(listener),
        through: activate(names),
      });
      // The program has the only descriptor now.
      listener.close();
      using client = await connect({ hostname: v4, port: addr.port, timeout: patience });
      const line = firstLine(child);
      const report = JSON.parse(await within(2 * patience, line)) as Report;
      assertEquals(report.passed, [{ fd: 3, name }]);
      assertEquals(report.again, []);
      assertEquals(report.left, {});
      assertEquals(report.addresses, [addr]);
      if (noKernel === undefined) assertEquals(report.kept, false);
      client.close();
    },
  );
}

const noSystemd = (() => {
  try {
    execFileSync("systemd-socket-activate", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "systemd-socket-activate is not installed";
  }
})();

test(
  "listenFds: two named listeners of systemd-socket-activate",
  skip(noTables ?? noSystemd ?? cannotSet("fd")),
  async () => {
    const ports = await freePorts(2);
    const child = startRuntime(program, [], {
      through: [
        "systemd-socket-activate",
        ...ports.flatMap((port) => ["-l", `${v4}:${port}`]),
        "--fdname=web:admin",
        ...["PATH", "HOME", "NODE_OPTIONS", "NODE_NO_WARNINGS"].map((name) => `-E${name}`),
      ],
    });
    try {
      const line = firstLine(child);
      for (const port of ports) {
        await until(() => socketsOf(port, "LISTEN").length === 1, "systemd listens");
        using client = await connect({ hostname: v4, port, timeout: patience });
        assertEquals(new TextDecoder().decode(await readExactly(client, 5)), "hello");
      }
      const report = JSON.parse(await within(patience, line)) as Report;
      assertEquals(report.passed, [{ fd: 3, name: "web" }, { fd: 4, name: "admin" }]);
      assertEquals(report.addresses.map(({ port }) => port), ports);
    } finally {
      child.kill("SIGKILL");
    }
  },
);

async function freePorts(count: number): Promise<number[]> {
  const listeners = await Promise.all(
    Array.from({ length: count }, () => listen({ hostname: v4, port: 0, timeout: null })),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
