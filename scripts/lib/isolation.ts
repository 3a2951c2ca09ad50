/**
 * Gives every test file a network of its own, where the system allows it, so that files that run at the
 * same time do not see each other's ports, TIME_WAIT and tables of the kernel.
 */

import { run } from "./process.ts";

// Loopback, and a link with one link-local address, which can be used at once.
const links = [
  "link add test0 type veth peer name test1",
  "link set test0 addrgenmode none",
  "link set test1 addrgenmode none up",
  "link set test0 up",
  "addr add fe80::1/64 dev test0 nodad",
].join("\n");
// A network shares its table of connections with all others, unless the one that it is made from has asked
// for one of its own. To read /proc/net/tcp is to walk that table: with the machine's a matter of 5 to 25 ms,
// and of 0.1 ms with this one. The limits that follow from its size are set to what they would be without.
const table = "/proc/sys/net/ipv4/tcp_child_ehash_entries";
const limits = { tcp_max_tw_buckets: 131_072, tcp_max_syn_backlog: 2_048 };
const write = (file: string, value: number) => `{ echo ${value} >${file}; } 2>/dev/null`;
const ownTable = write(table, 16_384);
const usual = Object.entries(limits).map(([key, value]) =>
  write(`/proc/sys/net/ipv4/${key}`, value)
);
const setUp = `${[ownTable, ...usual].join("\n")}
ip link set lo up && {
  echo '${links}' | ip -force -batch - 2>/dev/null
  exec "$@"
}`;
// The inner network is the test's. Those that the test makes itself have tables of their own, too.
const command = [
  ...["unshare", "--net", "sh", "-c", `${ownTable}\nexec unshare --net sh -c "$@"`, "sh"],
  ...[setUp, "sh"],
];

/** The command that starts a program in a network of its own; empty where that is impossible. */
export async function ownNetwork(): Promise<string[]> {
  const [program = "", ...args] = [...command, "true"];
  const works = await run(program, args).then(({ code }) => code === 0, () => false);
  return works ? command : [];
}
