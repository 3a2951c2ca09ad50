import { test } from "node:test";
import process from "node:process";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { skip } from "../../support/skip.ts";
import { pair, socketsOf } from "../../contract/support.ts";
import { notLinux } from "../../contract/support_listen.ts";
import { capabilities, onlySupported, UnsupportedOptionError } from "@holdfast/tcp";

const { platform } = process;

/** Runs on this system, but tells the library that it is another one. No system call is made. */
async function pretending(system: string, body: () => void | Promise<void>): Promise<void> {
  Object.defineProperty(process, "platform", { value: system });
  try {
    await body();
  } finally {
    Object.defineProperty(process, "platform", { value: platform });
  }
}

let noIdle: string | undefined;
await pretending("aix", () => {
  const { set, reason } = capabilities().options["keepAlive.idle"];
  if (set === "none") noIdle = `the runtime's own setter takes no idle time, and ${reason}`;
});

test(
  "a system without system calls: what Node itself can set is set",
  skip(notLinux ?? noIdle),
  async () => {
    using sockets = await pair();
    const { client } = sockets;
    const port = client.localAddr.port;
    const timer = () =>
      socketsOf(port, "ESTABLISHED").find(({ localPort }) => localPort === port)!.timerMs;
    await pretending("aix", () => {
      const { options } = capabilities();
      assertEquals(options.keepAlive.set, "native");
      assertEquals(options["keepAlive.idle"].set, "native");
      assertEquals(options.userTimeout.set, "none");
      client.setOptions({ keepAlive: { idle: 59_000 } });
      client.setOptions({ keepAlive: true });
      assertThrows(() => client.setOptions({ keepAlive: { count: 3 } }), UnsupportedOptionError);
      const kept = onlySupported({ keepAlive: { idle: 9_000, count: 3 }, userTimeout: 9_000 });
      assertEquals(kept, { keepAlive: { idle: 9_000 } });
    });
    assert(timer() > 55_000 && timer() <= 59_100, `first probe in ${timer()} ms`);
    await pretending("aix", () => client.setKeepAlive(false));
    assertEquals(timer(), 0);
  },
);
