import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openListening, withListening } from "../../../src/kernel/listening.ts";
import { AF_UNIX, encodeUnix, SOCK_STREAM } from "../../../src/kernel/sockaddr.ts";
import { kindOf } from "../../../src/kernel/tcp_socket.ts";
import { adapter } from "../../../src/runtime.ts";

const { kernel } = adapter().loadKernel();
const plan = {
  hostname: "127.0.0.1",
  port: 0,
  reuseAddress: false,
  reusePort: false,
  ipv6Only: undefined,
  backlog: undefined,
  fd: undefined,
};

test("a listening descriptor that nobody takes over is closed", async () => {
  let fd = -1;
  const failure = new Error("not taken");
  const taken = withListening(kernel!, plan, "127.0.0.1", (given) => {
    fd = given;
    assertEquals(kindOf(kernel!, fd), "listener");
    return Promise.reject(failure);
  });
  assertEquals(await assertRejects(() => taken), failure);
  assert(kernel!.getsockname(fd, new Uint8Array(128)) < 0);
});

test("one that the runtime closed before it failed is not closed again", async () => {
  let other = -1;
  const taken = withListening(kernel!, plan, "127.0.0.1", (fd) => {
    kernel!.close(fd);
    // It gets the lowest free number, which most likely is the one that was just closed.
    other = openListening(kernel!, plan, "127.0.0.1");
    throw new Error("not taken");
  });
  await assertRejects(() => taken, Error, "not taken");
  assert(kernel!.getsockname(other, new Uint8Array(128)) > 0);
  kernel!.close(other);
});

test("a Unix socket that listens is refused as a descriptor, and not closed", async () => {
  const fd = kernel!.socket(AF_UNIX, SOCK_STREAM, 0);
  kernel!.bind(fd, encodeUnix(`\0holdfast-${fd}`));
  kernel!.listen(fd, 1);
  await assertRejects(() => adapter().listen({ ...plan, fd }), TypeError, "is not TCP");
  assertEquals(kindOf(kernel!, fd), "listener");
  kernel!.close(fd);
});
