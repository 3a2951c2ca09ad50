/**
 * Dials each of the few local ports that the kernel may pick, again and again, while no program listens at
 * any of them. Prints the results, and then whether a listener at such a port is found.
 */

import { connect, listen } from "@holdfast/tcp";

const hostname = "127.0.0.1";
const timeout = 5_000;
const outcomes = new Set<string>();
for (let i = 0; i < 40; i++) {
  const port = 40_000 + i % 4;
  try {
    // With TLS too, which would fail for another reason.
    using socket = await connect({ hostname, port, timeout, tls: i % 8 >= 4 });
    outcomes.add(socket.localAddr.port === port ? "itself" : "somebody");
  } catch (error) {
    outcomes.add((error as { code: string }).code);
  }
}
console.log([...outcomes].join());
using listener = await listen({ hostname, port: 40_001, timeout });
using client = await connect({ hostname, port: 40_001, timeout });
using server = await listener.accept();
console.log(server.remoteAddr.port === client.localAddr.port);
