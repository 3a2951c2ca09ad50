/** Rows in which this process is busy between a call and the moment when the runtime passes it on. */

import { sleep } from "../contract/support.ts";
import { ca } from "../support/certificate.ts";
import { pending, type Plan } from "./row.ts";
import { gone, T } from "./rows.ts";

/**
 * Keeps the event loop from going on once the call has told the runtime, for so long that the watch looks
 * before the runtime has told the kernel.
 */
async function stall(): Promise<void> {
  for (let i = 0; i < 50; i++) await undefined;
  const start = performance.now();
  while (performance.now() - start < T + 500);
}

export const busyRows: Plan[] = [
  gone("our FIN, sent after a stall", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = pending(socket.read(new Uint8Array(1)));
    await row.gone();
    const finished = socket.closeWrite();
    await stall();
    await finished;
    return await row.end(reading);
  }),
  gone("over TLS, a write, sent after a stall", async (row) => {
    const tls = { ca, serverName: "localhost" };
    using socket = await row.connect(7011, { deadPeerTimeout: T, tls });
    const reading = pending(socket.read(new Uint8Array(1)));
    // What TLS sends after its handshake is acknowledged.
    await sleep(500);
    await row.gone();
    const written = socket.write(new Uint8Array(1));
    await stall();
    await written;
    return await row.end(reading);
  }),
];
