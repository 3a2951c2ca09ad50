/**
 * Four options in four situations: what each notices, and when. These are not tests, but measurements for
 * docs/choosing.md.
 */

import type { SocketOptions, TcpConnection } from "@holdfast/tcp";
import { sleep } from "../contract/support.ts";
import type { Plan, Row } from "./row.ts";

const options: Record<string, SocketOptions & { timeout?: number }> = {
  "timeout: 3_000": { timeout: 3_000 },
  "keepAlive: { 1 s, 1 s, 3 }": { keepAlive: { idle: 1_000, interval: 1_000, count: 3 } },
  "userTimeout: 3_000": { userTimeout: 3_000 },
  "deadPeerTimeout: 3_000": { deadPeerTimeout: 3_000 },
};

/** How long to wait, since in some situations nothing happens. */
export const patience = 18_000;

/** Makes the situation. Returns the call that should notice it. */
type Situation = (row: Row, socket: TcpConnection) => Promise<() => Promise<unknown>>;

const situations: Record<string, [port: number, run: Situation]> = {
  "idle, gone": [7001, async (row, socket) => {
    await row.gone();
    return () => socket.read(new Uint8Array(64));
  }],
  "data unacknowledged, gone": [7001, async (row, socket) => {
    await row.gone();
    await socket.write(new Uint8Array(1_000));
    return () => socket.read(new Uint8Array(64));
  }],
  "closed window, gone": [7003, async (row, socket) => {
    socket.write(new Uint8Array(500_000), { timeout: null }).catch(() => {});
    await sleep(2_000);
    await row.gone();
    return () => socket.read(new Uint8Array(64));
  }],
  "closed window, alive": [7003, (row, socket) => {
    row.start = performance.now();
    return Promise.resolve(() => socket.write(new Uint8Array(500_000)));
  }],
};

export const comparison: Plan[] = Object.entries(situations).flatMap(([situation, [port, act]]) =>
  Object.entries(options).map(([option, given]) => ({
    name: `${situation} | ${option}`,
    expected: "",
    accepted: [],
    min: 0,
    max: Infinity,
    async run(row: Row) {
      using socket = await row.connect(port, given);
      const pending = await act(row, socket);
      return await row.end(Promise.race([pending(), sleep(patience).then(() => "nothing")]));
    },
  }))
);
