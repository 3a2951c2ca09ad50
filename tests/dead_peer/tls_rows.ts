/** The rows of the dead-peer table in which the connection has TLS. */

import type { TcpConnection } from "@holdfast/tcp";
import { sleep, streamBytes } from "../contract/support.ts";
import { ca } from "../support/certificate.ts";
import { pending, type Plan, type Row } from "./row.ts";
import { alive, endsForGood, gone, keepWriting, T } from "./rows.ts";

function open(row: Row, port: number): Promise<TcpConnection> {
  return row.connect(port, { deadPeerTimeout: T, tls: { ca, serverName: "localhost" } });
}

export const tlsRows: Plan[] = [
  gone("over TLS, idle", async (row) => {
    using socket = await open(row, 7011);
    const reading = pending(socket.read(new Uint8Array(1)));
    await row.gone();
    return await endsForGood(row, socket, reading);
  }),
  gone("over TLS, before the handshake is acknowledged", async (row) => {
    using socket = await open(row, 7015);
    const reading = pending(socket.read(new Uint8Array(1)));
    row.start = performance.now();
    return await endsForGood(row, socket, reading);
  }),
  gone("over TLS, data unacknowledged", async (row) => {
    using socket = await open(row, 7011);
    const reading = pending(socket.read(new Uint8Array(1)));
    await row.gone();
    await socket.write(new Uint8Array(1_000));
    return await endsForGood(row, socket, reading);
  }),
  gone("over TLS, data unacknowledged, nobody reads", async (row) => {
    using socket = await open(row, 7011);
    await row.gone();
    return await endsForGood(row, socket, keepWriting(socket, 100));
  }),
  gone("over TLS, closed window, then gone", async (row) => {
    using socket = await open(row, 7013);
    const writing = pending(socket.write(streamBytes(0, 8_000_000)));
    await sleep(2_000);
    await row.gone();
    return await endsForGood(row, socket, writing);
  }),
  alive("over TLS, a reader that drains every T, for 5 T", async (row) => {
    using socket = await open(row, 7014);
    const writing = pending(socket.write(new Uint8Array(2 ** 25)));
    row.start = performance.now();
    await Promise.race([writing, sleep(5 * T)]);
    // The handshake alone keeps nobody alive.
    if (socket.tcpInfo().bytesAcknowledged! < 10_000) throw new Error("The peer has read nothing");
    return { ms: row.elapsed, error: "alive" };
  }),
];
