/**
 * What each runtime can do, "set get", by `capabilities()` of a machine with everything at hand
 * (`--allow-ffi` in Deno). A change here is a change of what users get.
 *
 * @module
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
  "reusePort": "native none",
  "reuseAddress": "ffi none",
  "fd": "native none",
  "tcpInfo": "none ffi",
};

/** By runtime, major version and system. */
export const pinned: Record<string, Record<string, string> | undefined> = {
  "deno 2 linux": {
    ...linux,
    "ipv6Only": "ffi none",
    "backlog": "native none",
    "reset": "ffi none",
  },
  "bun 1 linux": {
    ...linux,
    "ipv6Only": "ffi none",
    "backlog": "ffi none",
    "reset": "native none",
  },
  "node 26 linux": {
    ...linux,
    "keepAlive.idle": "native ffi",
    "keepAlive.interval": "native ffi",
    "keepAlive.count": "native ffi",
    "ipv6Only": "native none",
    "backlog": "native none",
    "reset": "native none",
  },
};
