/** Guesses which option a caller meant by an unknown one. */

/** Names that other libraries have for our options, in lower case and without underscores. */
const elsewhere: Readonly<Record<string, string>> = {
  host: "hostname",
  address: "hostname",
  ip: "hostname",
  timeoutms: "timeout",
  sockettimeout: "timeout",
  connecttimeout: "timeout.connect",
  connectiontimeout: "timeout.connect",
  idletimeout: "timeout.idle",
  readtimeout: "timeout.read",
  writetimeout: "timeout.write",
  accepttimeout: "timeout.accept",
  abortsignal: "signal",
  tcpbacklog: "backlog",
  reuseaddr: "reuseAddress",
  soreuseaddr: "reuseAddress",
  delay: "keepAlive.idle",
  initialdelay: "keepAlive.idle",
  keepaliveinitialdelay: "keepAlive.idle",
  keepalivedelay: "keepAlive.idle",
  keepaliveidle: "keepAlive.idle",
  tcpkeepidle: "keepAlive.idle",
  keepaliveinterval: "keepAlive.interval",
  tcpkeepintvl: "keepAlive.interval",
  probes: "keepAlive.count",
  keepalivecount: "keepAlive.count",
  keepaliveprobes: "keepAlive.count",
  tcpkeepcnt: "keepAlive.count",
  sokeepalive: "keepAlive",
  tcpusertimeout: "userTimeout",
  tcpnodelay: "noDelay",
  solinger: "linger",
  recvbuffersize: "receiveBufferSize",
  rcvbuf: "receiveBufferSize",
  sorcvbuf: "receiveBufferSize",
  sndbuf: "sendBufferSize",
  sosndbuf: "sendBufferSize",
  tos: "typeOfService",
  ttl: "hopLimit",
};

/** Returns the one of `keys`, those of the object `within`, that `key` was most likely meant to be. */
export function suggest(
  key: string,
  keys: readonly string[],
  within: string | undefined,
): string | undefined {
  const plain = key.toLowerCase().replaceAll(/[_-]/g, "");
  const known = Object.hasOwn(elsewhere, plain) ? elsewhere[plain]! : undefined;
  const [first, part] = known?.split(".") ?? [];
  if (within === undefined ? keys.includes(first!) : within === first && keys.includes(part!)) {
    return known;
  }
  let nearest: string | undefined;
  let least = Math.min(2, plain.length / 2) + 1;
  for (const name of keys) {
    const edits = distance(plain, name.toLowerCase());
    if (edits >= least) continue;
    least = edits;
    nearest = name;
  }
  return nearest === undefined || within === undefined ? nearest : `${within}.${nearest}`;
}

/** How many letters have to be changed, added or removed to make `b` of `a` (Levenshtein distance). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(row[j]! + Number(a[i] !== b[j]), row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
