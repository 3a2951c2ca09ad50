/** Bulk transfer over TLS, beside the runtime's own TLS sockets. */

import type { Contest } from "../measure.ts";
import type { Tools } from "../worker.ts";
import { transfers } from "./bulk.ts";
import { dialTls } from "./tls.ts";

export const title = "Bulk transfer over TLS 1.3, 64 KiB writes, a limit on every call";
export const rounds = 11;

export function contests({ peer: { ports }, raw }: Tools): Promise<Contest[]> {
  const { tlsSink: sink, tlsSource: source, tlsEcho: echo } = ports;
  return transfers({ sink, source, echo }, raw.secure, raw.style, dialTls);
}
