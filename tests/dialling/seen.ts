/** What the peer tells about a connection. */

import type { TcpConnection } from "@holdfast/tcp";

export interface Seen {
  /** The client's address and port. */
  readonly from: string;
  readonly port: number;
  /** The address that it has dialled. */
  readonly to: string;
  /** The headers of the client's SYN, in hexadecimal digits. */
  readonly syn: string;
}

/** What the peer says first. */
export async function greeting(socket: TcpConnection): Promise<Seen> {
  let text = "";
  const into = new Uint8Array(1_024);
  while (!text.endsWith("\n")) {
    const count = await socket.read(into);
    if (count === null) throw new Error(`The peer has said only: ${text}`);
    text += new TextDecoder().decode(into.subarray(0, count));
  }
  return JSON.parse(text) as Seen;
}

/** What a SYN tells the peer. */
export interface Syn {
  readonly typeOfService: number;
  readonly hopLimit: number;
  readonly segmentSize?: number;
  readonly windowScale?: number;
}

/** Reads the headers of IP (RFC 791, RFC 8200) and of TCP with its options (RFC 9293). */
export function synOf({ syn }: Seen): Syn {
  const bytes = Uint8Array.from(syn.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  const version6 = bytes[0]! >> 4 === 6;
  const ip = version6
    ? { typeOfService: (bytes[0]! & 15) << 4 | bytes[1]! >> 4, hopLimit: bytes[7]! }
    : { typeOfService: bytes[1]!, hopLimit: bytes[8]! };
  const tcp = bytes.subarray(version6 ? 40 : 4 * (bytes[0]! & 15));
  const options = tcp.subarray(20, 4 * (tcp[12]! >> 4));
  let segmentSize: number | undefined;
  let windowScale: number | undefined;
  for (let at = 0; at < options.length && options[at] !== 0;) {
    if (options[at] === 2) segmentSize = options[at + 2]! << 8 | options[at + 3]!;
    if (options[at] === 3) windowScale = options[at + 2]!;
    // Kind 1 is padding, and has no length.
    at += options[at] === 1 ? 1 : options[at + 1]!;
  }
  return {
    ...ip,
    ...segmentSize !== undefined && { segmentSize },
    ...windowScale !== undefined && { windowScale },
  };
}
