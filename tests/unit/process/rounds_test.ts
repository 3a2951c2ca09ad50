import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { assertEquals, assertThrows } from "@std/assert";
import { deadPeerObstacle } from "../../../src/options/dead_peer.ts";
import { supportedPlan } from "../../../src/options/apply.ts";
import { socketPlan } from "../../../src/options/plan.ts";
import { Rounds } from "../../../src/process/rounds.ts";
import type { SocketEntry } from "../../../src/kernel/entry.ts";
import { adapter } from "../../../src/runtime.ts";
import { TimerQueue } from "../../../src/time/timers.ts";
import { skip } from "../../support/skip.ts";

const { kernel } = adapter().loadKernel();

test(
  "a guard whose filter throws at once leaves nothing behind",
  skip(deadPeerObstacle()?.reason),
  async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
    const [accepted] = await Promise.all([once(server, "connection"), once(client, "connect")]);
    const timers = new TimerQueue({ now: () => 0, start: () => {}, stop: () => {} });
    let asked = 0;
    const matches = ({ kind }: SocketEntry) => {
      if (kind === "connection" && ++asked === 2) throw new Error("no");
      return true;
    };
    const plan = supportedPlan(socketPlan({ deadPeerTimeout: 5_000 }, "guard"), {});
    const orders = { plan, matches, attempt: undefined, every: 10 };
    assertThrows(() => new Rounds(kernel!, orders, timers), Error, "no");
    client.destroy();
    accepted[0].destroy();
    server.close();
    assertEquals([asked, timers.size], [2, 0]);
  },
);
