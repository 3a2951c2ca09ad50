/** Replaces `@std/net` where JSR cannot be reached, and on Bun and Node. */

import { createServer } from "node:net";

/** A TCP port that is free right now. */
export function getAvailablePort(options: { preferredPort?: number } = {}): number {
  const { preferredPort = 0 } = options;
  // Without a hostname node:net binds before it returns; with one it resolves the name first.
  const server = createServer().on("error", () => {}).listen(preferredPort);
  const address = server.address();
  server.close();
  if (address !== null && typeof address === "object") return address.port;
  if (preferredPort !== 0) return getAvailablePort();
  throw new Error("Cannot find an available port: the system has none to give");
}
