/**
 * What `capabilities()` returns in each runtime, as "set get", with `--allow-ffi` in Deno. For older
 * Node.js there is a table with koffi and one without. A change here is a change of what users get.
 */

/** The same in all three on Linux. */
const linux = {
  "congestionControl": "ffi ffi",
  "keepAlive.idle": "ffi ffi",
  "keepAlive.interval": "ffi ffi",
  "keepAlive.count": "ffi ffi",
  "keepAlive": "native ffi",
  "userTimeout": "ffi ffi",
  "noDelay": "native ffi",
  "linger": "ffi ffi",
  "receiveBufferSize": "ffi ffi",
  "sendBufferSize": "ffi ffi",
  "typeOfService": "ffi ffi",
  "hopLimit": "ffi ffi",
  "notSentLowWaterMark": "ffi ffi",
  "maxSegmentSize": "none ffi",
  "deadPeerTimeout": "ffi none",
  "reusePort": "native ffi",
  "reuseAddress": "ffi ffi",
  "fd": "native none",
  "tcpInfo": "none ffi",
  "localAddress": "ffi none",
  "localPort": "ffi none",
  "interface": "ffi none",
  "prepare": "ffi none",
};

const node = {
  ...linux,
  "ipv6Only": "native ffi",
  "backlog": "native none",
  "reset": "native none",
};

/** Node with https://github.com/nodejs/node/pull/63825. */
const tuningNode = {
  ...node,
  "keepAlive.idle": "native ffi",
  "keepAlive.interval": "native ffi",
  "keepAlive.count": "native ffi",
};

/** `listen({ reusePort })` came with 22.12. */
const node20 = { ...node, "reusePort": "ffi ffi" };

/** The setters of every Node take an idle time, but not always interval and count. */
const withoutFfi = (table: Record<string, string>): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(table).map(([name, roads]) => [name, roads.replaceAll("ffi", "none")]),
  ),
  "keepAlive.idle": "native none",
  "localAddress": "native none",
  "localPort": "native none",
});

/** Windows: what Node itself can do, as system calls cannot be made there. */
const windows = { ...withoutFfi(node20), "fd": "none none" };

/** The tables by runtime, major version and system, and by koffi where it makes a difference. */
export const pinned: Record<string, Record<string, string> | undefined> = {
  "deno 2 linux": {
    ...linux,
    "ipv6Only": "ffi ffi",
    "backlog": "native none",
    "reset": "ffi none",
  },
  "bun 1 linux": {
    ...linux,
    "ipv6Only": "ffi ffi",
    "backlog": "ffi none",
    "reset": "native none",
  },
  "node 20 linux": withoutFfi(node20),
  "node 20 linux koffi": node20,
  "node 22 linux": withoutFfi(node),
  "node 22 linux koffi": node,
  "node 24 linux": withoutFfi(tuningNode),
  "node 24 linux koffi": tuningNode,
  "node 26 linux": tuningNode,
  "node 20 windows": windows,
  "node 22 windows": windows,
};
