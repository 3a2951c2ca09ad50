import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import type { Identity } from "../../../src/kernel/identity.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import { Walk } from "../../../src/process/walk.ts";
import { constants } from "../../../src/kernel/constants.ts";
import { skip } from "../../support/skip.ts";

/** A kernel with these descriptors and the cookies of their sockets, which counts calls. 0 is a file. */
function fakeKernel(open: Map<number, number>) {
  const counter = { calls: 0 };
  const getsockopt = (fd: number, _level: number, _name: number, value: Uint8Array) => {
    counter.calls++;
    const cookie = open.get(fd);
    if (cookie === undefined) return -9;
    if (cookie === 0) return -88;
    new BigUint64Array(value.buffer)[0] = BigInt(cookie);
    return 8;
  };
  return {
    counter,
    kernel: { getsockopt, descriptorLimit: () => 1e6 } as Partial<Kernel> as Kernel,
  };
}

type Change = [fd: number, now: Identity, before: Identity];

function look(walk: Walk): Change[] {
  const changes: Change[] = [];
  walk.look((...change) => changes.push(change));
  return changes;
}

const reason = constants.SO_COOKIE === undefined ? "sockets have no number here" : undefined;

test("a walk tells what has come, gone and been replaced", skip(reason), () => {
  const open = new Map([[0, 0], [1, 0], [3, 101], [5, 102]]);
  const walk = new Walk(fakeKernel(open).kernel, 10);
  assertEquals(look(walk), [[3, 101, 0], [5, 102, 0]]);
  assertEquals(look(walk), []);
  open.delete(3);
  open.set(5, 103).set(6, 104);
  assertEquals(look(walk), [[3, 0, 101], [5, 103, 102], [6, 104, 0]]);
  // A file has the number now. There is no other socket, but the old one is gone.
  open.set(6, 0);
  assertEquals(look(walk), [[6, 0, 104]]);
});

test("a number beyond 2^32 stays exact", skip(reason), () => {
  const open = new Map([[3, 2 ** 40 + 1]]);
  const walk = new Walk(fakeKernel(open).kernel, 10);
  assertEquals(look(walk), [[3, 2 ** 40 + 1, 0]]);
});

test("a walk costs one call for each descriptor, and a few", skip(reason), () => {
  const open = new Map(Array.from({ length: 1_000 }, (_, fd) => [fd, fd + 1]));
  const { kernel, counter } = fakeKernel(open);
  const walk = new Walk(kernel, 10);
  look(walk);
  counter.calls = 0;
  assertEquals(look(walk), []);
  assert(counter.calls < 1_100, `${counter.calls} calls`);
});

test("many new ones are found in one walk", skip(reason), () => {
  const open = new Map([[3, 1]]);
  const walk = new Walk(fakeKernel(open).kernel, 10);
  look(walk);
  for (let fd = 4; fd < 5_000; fd++) open.set(fd, fd);
  assertEquals(look(walk).length, 4_996);
  open.clear();
  assertEquals(look(walk).length, 4_997);
});

test(
  "sockets are found above many closed numbers, if so many could be opened meanwhile",
  skip(reason),
  () => {
    const open = new Map([[3, 1]]);
    const walk = new Walk(fakeKernel(open).kernel, 1_000);
    look(walk);
    open.set(900, 2);
    assertEquals(look(walk), [[900, 2, 0]]);
  },
);
