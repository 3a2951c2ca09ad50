import { test } from "node:test";
import { assertEquals, assertThrows } from "@std/assert";
import { connect, getOptions, listen } from "@holdfast/tcp";
import { adapter } from "../../../src/runtime.ts";
import { Refusal } from "../../../src/kernel/system_error.ts";
import { identityOf } from "../../../src/kernel/identity.ts";
import { Descriptors, list } from "../../../src/kernel/descriptors.ts";
import { skip } from "../../support/skip.ts";

const { kernel, obstacle } = adapter().loadKernel();

test(
  "descriptors: a guess is believed only of a socket with its owner's address",
  skip(obstacle?.reason),
  async () => {
    using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
    const dial = () => connect({ port: listener.addr.port, timeout: 1_000 });
    using one = await dial();
    using other = await dial();
    const descriptors = new Descriptors(kernel!, list);
    const find = (owner: object, { localAddr, remoteAddr } = one) =>
      descriptors.connection(owner, localAddr, remoteAddr);
    const guess = (fd: number) => {
      const owner = {};
      descriptors.guess(owner, fd, identityOf(kernel!, fd)!);
      return owner;
    };
    const right = find({});
    const wrong = find({}, other);
    assertEquals(getOptions({ fd: right }).noDelay, true);

    assertEquals(find(guess(right)), right);
    assertEquals(find(guess(wrong)), right);

    const owner = guess(right);
    assertEquals(find(owner), right);
    one.close();
    const error = assertThrows(() => find(owner), Refusal);
    assertEquals(error.code, "EBADF");
  },
);

test(
  "descriptors: a search without a list ends, however many there may be",
  skip(obstacle?.reason),
  async () => {
    using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
    using open = await connect({ port: listener.addr.port, timeout: 1_000 });
    let calls = 0;
    const counted =
      <Args extends unknown[]>(call: (...args: Args) => number) => (...args: Args) => {
        if (++calls > 100_000) throw new Error("looks at too many");
        return call(...args);
      };
    const descriptors = new Descriptors({
      ...kernel!,
      getsockname: counted(kernel!.getsockname),
      getsockopt: counted(kernel!.getsockopt),
      // As in a container without a limit of its own.
      descriptorLimit: () => 2 ** 30,
    });
    const fd = descriptors.connection({}, open.localAddr, open.remoteAddr);
    assertEquals(getOptions({ fd }).noDelay, true);
    const nowhere = { ...open.remoteAddr, hostname: "127.0.0.9" };
    assertThrows(() => descriptors.connection({}, open.localAddr, nowhere), Refusal);
    assertEquals(descriptors.listener({}, listener.addr) > 2, true);
  },
);
