import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { learnOurs, noteClosed, noteOpened, type Ours } from "../../../src/options/ours.ts";

class Socket implements Ours {
  group: Ours[] | undefined = undefined;
  place = 0;
  isClosed = false;
  readonly inner = {};

  watchPeer(): void {}

  close(): void {
    this.isClosed = true;
    noteClosed(this);
  }
}

/** The sockets of `all` that a guard gets to know now. */
function learn(all: Socket[]): Socket[] {
  const seen = new Set<Ours>();
  learnOurs((socket) => void seen.add(socket));
  return all.filter((socket) => seen.has(socket));
}

test("a guard gets to know every open socket of ours once, however many there are", () => {
  learn([]);
  const all = Array.from({ length: 150 }, () => new Socket());
  for (const [i, socket] of all.entries()) {
    noteOpened(socket);
    // Some are closed while they are young, also the youngest, and some when they are not.
    if (i % 3 === 0) socket.close();
    if (i % 5 === 0) all[i >> 1]!.close();
  }
  const open = all.filter(({ isClosed }) => !isClosed);
  assertEquals(learn(all), open);
  assertEquals(learn(all), []);
  for (const socket of open) socket.close();
});
