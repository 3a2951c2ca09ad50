/** The diagnosis of a timeout when the peer is gone. */

import type { TimeoutError } from "@holdfast/tcp";
import { sleep } from "../contract/support.ts";
import type { Plan } from "./row.ts";

const buffer = () => new Uint8Array(65_536);

/** Asserts that the diagnosis of a timeout says what the kernel knows. */
function diagnosed(name: string, run: Plan["run"], matching: RegExp): Plan {
  return {
    name: `diagnosis: ${name}`,
    expected: String(matching),
    accepted: ["TimeoutError ETIMEDOUT"],
    min: 0,
    max: Infinity,
    async run(row) {
      const measured = await run(row);
      const { diagnosis } = measured.error as TimeoutError;
      if (!matching.test(diagnosis!)) throw new Error(`The diagnosis is: ${diagnosis}`);
      return measured;
    },
  };
}

export const diagnosisRows: Plan[] = [
  diagnosed("SYN unanswered", async (row) => {
    await row.gone();
    return await row.end(row.connect(7001, { timeout: 1_500 }));
  }, /SYN unanswered \(sent again 1 time\)$/),
  diagnosed("not acknowledging", async (row) => {
    using socket = await row.connect(7001, {});
    await row.gone();
    await socket.write(new Uint8Array(1000));
    return await row.end(socket.read(buffer(), { timeout: 1_000 }));
  }, /the peer does not acknowledge \(\d retransmissions?, last heard from \d+ ms ago\)$/),
  diagnosed("keepalive probes unanswered", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: 16_000 });
    await row.gone();
    return await row.end(socket.read(buffer(), { timeout: 6_500 }));
  }, /the peer does not answer \(\d keepalive probes?, last heard from \d+ ms ago\)$/),
  diagnosed("window closed, peer gone", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: 8_000 });
    const writing = socket.write(new Uint8Array(8_000_000), { timeout: 6_000 });
    writing.catch(() => {});
    await sleep(1_500);
    await row.gone();
    return await row.end(writing);
  }, /receive window is closed \(\d probes unanswered, last heard from \d+ ms ago\)$/),
];
