/**
 * The network in which dialling is tested: this side and its peer are joined by two cables. Names lead to
 * addresses that answer, never answer, answer later, or are unreachable.
 */

import { writeFileSync } from "node:fs";
import { ip, type Network, openNetwork } from "../dead_peer/namespaces.ts";

/** The addresses of this side on each cable. The first one is what the kernel takes. */
export const ours = {
  cable0: { first: "10.77.0.1", second: "10.77.0.7", v6: ["2001:db8:77::1", "2001:db8:77::7"] },
  cable1: { first: "10.77.200.1", second: "10.77.200.7" },
} as const;

/** The addresses of the peer. All but `onlyCable0` can be reached through both cables, `cable0` first. */
export const peer = {
  first: "10.99.0.1",
  second: "10.99.0.2",
  v6: ["2001:db8:99::1", "2001:db8:99::2"],
  onlyCable0: "10.98.0.1",
} as const;

/** Addresses behind the peer's which do not exist. Packets to the silent ones vanish. */
const silent = { v4: "10.99.9.1", v6: "2001:db8:99::9:1" } as const;
/** The peer tells senders that it cannot reach these. */
export const unreachable = { v4: "10.99.8.1", v6: "2001:db8:99::8:1" } as const;
/** Silent until the peer gets them by {@linkcode awaken}. */
export const asleep = ["2001:db8:99::7:1", "2001:db8:99::7:2"] as const;

/** What /etc/hosts says on this side. */
export const hosts: Readonly<Record<string, readonly string[]>> = {
  "silent6.test": [silent.v6, peer.first],
  "unreachable6.test": [unreachable.v6, peer.first],
  "slow.test": [asleep[0], peer.first],
  "slow-but-only.test": [asleep[1], silent.v4],
  "nowhere.test": [unreachable.v6, unreachable.v4, peer.first],
};

/** Makes the network, and writes {@linkcode hosts} to a file. */
export function openDiallingNetwork(hostsFile: string): Network {
  const lines = Object.entries(hosts)
    .flatMap(([name, addresses]) => addresses.map((address) => `${address} ${name}\n`));
  writeFileSync(hostsFile, ["127.0.0.1 localhost\n", ...lines].join(""));
  const network = openNetwork(0);
  const { here, there } = network;
  try {
    const { cable0, cable1 } = ours;
    for (
      const command of [
        `-n ${here} addr add ${cable0.second}/24 dev cable0`,
        `-n ${here} addr add ${cable1.second}/24 dev cable1`,
        ...cable0.v6.map((address) => `-n ${here} addr add ${address}/64 dev cable0 nodad`),
        `-n ${there} addr add 2001:db8:77::ff/64 dev cable0 nodad`,
        `-n ${here} route add 10.98.0.0/16 via 10.77.0.2 dev cable0`,
        `-n ${here} route add 10.99.0.0/16 via 10.77.0.2 dev cable0 metric 10`,
        `-n ${here} route add 10.99.0.0/16 via 10.77.200.2 dev cable1 metric 20`,
        `-n ${here} route add 2001:db8:99::/64 via 2001:db8:77::ff dev cable0`,
        ...[peer.first, peer.second, peer.onlyCable0].map((address) =>
          `-n ${there} addr add ${address}/32 dev lo`
        ),
        ...peer.v6.map((address) => `-n ${there} addr add ${address}/128 dev lo nodad`),
        `-n ${there} route add blackhole ${silent.v4}/32`,
        `-n ${there} route add unreachable ${unreachable.v4}/32`,
        ...[silent.v6, ...asleep].map((address) =>
          `-n ${there} -6 route add blackhole ${address}/128`
        ),
        `-n ${there} -6 route add unreachable ${unreachable.v6}/128`,
        // As a router, the peer says what it cannot reach. It answers for an address on one cable only.
        `netns exec ${there} sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 ` +
        "net.ipv4.conf.all.arp_ignore=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
        // An address for which nobody answers is given up soon.
        `netns exec ${here} sysctl -q -w net.ipv4.neigh.cable1.retrans_time_ms=50`,
      ]
    ) ip(command);
    return network;
  } catch (error) {
    network[Symbol.dispose]();
    throw error;
  }
}

/** Gives the peer an address that was silent, in `there`. */
export function awaken(there: string, address: string): void {
  ip(`-n ${there} -6 route del blackhole ${address}/128`);
  ip(`-n ${there} addr add ${address}/128 dev lo nodad`);
}

/** Takes it back. */
export function lull(there: string, address: string): void {
  ip(`-n ${there} addr del ${address}/128 dev lo`);
  ip(`-n ${there} -6 route add blackhole ${address}/128`);
}
