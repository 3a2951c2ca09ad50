/** A web server of `node:http` or `node:https`. */

import { once } from "node:events";
import http, { type RequestListener, type Server } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { certificate, privateKey } from "./certificate.ts";

export interface WebServer extends Disposable {
  server: Server;
  port: number;
}

/** Starts a server on loopback that keeps connections open and says "hello", or does as `respond` does. */
export async function webServer(
  respond: RequestListener = (_, response) => response.end("hello"),
  secure: boolean = false,
): Promise<WebServer> {
  const server = secure
    ? https.createServer({ key: privateKey, cert: certificate }, respond)
    : http.createServer(respond);
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    server,
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
