/** Open sockets of every kind that the running runtime has, as its libraries open them. */

import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { sockets } from "@holdfast/tcp";
import { until } from "./support.ts";
import { ca, certificate, privateKey } from "../support/certificate.ts";

/** One open socket. */
export interface NativeSocket {
  /** Its class, and how it was opened. */
  name: string;
  socket: object;
  localPort: number;
  /** The peer's port, or 0 for a listener. */
  remotePort: number;
}

/** Sockets that belong together, such as both ends of a connection and the listener. */
export interface NativeSockets extends Disposable {
  all: NativeSocket[];
}

/** How to open sockets of one kind. */
export type Kind = [name: string, open: () => Promise<NativeSockets>];

const key = privateKey;
const cert = certificate;

function ended(socket: net.Socket, name: string): NativeSocket {
  return { name, socket, localPort: socket.localPort!, remotePort: socket.remotePort! };
}

function listening(server: net.Server | http.Server, name: string): NativeSocket {
  return { name, socket: server, localPort: (server.address() as AddressInfo).port, remotePort: 0 };
}

async function started<Server extends net.Server>(
  server: Server,
  address: string,
): Promise<Server> {
  server.listen(0, address);
  await once(server, "listening");
  return server;
}

/** `node:net`, listening on one address and dialling another. */
export function netSockets(listenOn: string, dial: string): Kind[1] {
  return async () => {
    const server = await started(net.createServer(), listenOn);
    const { port } = server.address() as AddressInfo;
    const client = net.connect(port, dial);
    const [[accepted]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
    for (const socket of [client, accepted]) socket.on("error", () => {});
    return {
      all: [
        ended(client, "dialled net.Socket"),
        ended(accepted, "accepted net.Socket"),
        listening(server, "net.Server"),
      ],
      [Symbol.dispose]() {
        client.destroy();
        accepted.destroy();
        server.close();
      },
    };
  };
}

function tlsSockets(host: string): Kind[1] {
  return async () => {
    const server = await started(tls.createServer({ key, cert }), host);
    const { port } = server.address() as AddressInfo;
    const client = tls.connect({ port, host, ca, servername: "localhost" });
    const [[accepted]] = await Promise.all([
      once(server, "secureConnection"),
      once(client, "secureConnect"),
    ]);
    for (const socket of [client, accepted]) socket.on("error", () => {});
    return {
      all: [
        ended(client, "dialled tls.TLSSocket"),
        ended(accepted, "accepted tls.TLSSocket"),
        listening(server, "tls.Server"),
      ],
      [Symbol.dispose]() {
        client.destroy();
        accepted.destroy();
        server.close();
      },
    };
  };
}

function httpSockets(host: string, secure: boolean): Kind[1] {
  return async () => {
    const server = secure ? https.createServer({ key, cert }) : http.createServer();
    await started(server, host);
    const { port } = server.address() as AddressInfo;
    const request = secure
      ? https.get({ port, host, ca, servername: "localhost", agent: false })
      : http.get({ port, host, agent: false });
    request.on("error", () => {});
    const [[{ socket: accepted }, response]] = await Promise.all([once(server, "request")]);
    const client = request.socket!;
    const scheme = secure ? "https" : "http";
    return {
      all: [
        ended(client, `socket of ${scheme}.request`),
        ended(accepted, `req.socket of ${scheme}.Server`),
        listening(server, `${scheme}.Server`),
      ],
      [Symbol.dispose]() {
        response.end();
        request.destroy();
        server.close();
        server.closeAllConnections();
      },
    };
  };
}

// The runtimes' own APIs, with small types of what is used, so that no runtime's types are needed.

interface DenoAddr {
  hostname: string;
  port: number;
}
interface DenoConn {
  localAddr: DenoAddr;
  remoteAddr: DenoAddr;
  close(): void;
  handshake?(): Promise<unknown>;
}
interface DenoListener {
  addr: DenoAddr;
  accept(): Promise<DenoConn>;
  close(): void;
}
interface DenoNet {
  listen(options: object): DenoListener;
  connect(options: object): Promise<DenoConn>;
  listenTls(options: object): DenoListener;
  connectTls(options: object): Promise<DenoConn>;
}

function denoSockets(Deno: DenoNet, host: string, secure: boolean): Kind[1] {
  return async () => {
    const listener = secure
      ? Deno.listenTls({ hostname: host, port: 0, key, cert })
      : Deno.listen({ hostname: host, port: 0 });
    const { port } = listener.addr;
    const [client, accepted] = await Promise.all([
      secure
        ? Deno.connectTls({
          hostname: host,
          port,
          caCerts: [ca],
          // The certificate does not name every address.
          unsafelyDisableHostnameVerification: true,
        })
        : Deno.connect({ hostname: host, port }),
      listener.accept(),
    ]);
    if (secure) await Promise.all([client.handshake!(), accepted.handshake!()]);
    const ports = ({ localAddr, remoteAddr }: DenoConn) => ({
      localPort: localAddr.port,
      remotePort: remoteAddr.port,
    });
    const type = secure ? "Tls" : "Tcp";
    return {
      all: [
        { name: `dialled Deno.${type}Conn`, socket: client, ...ports(client) },
        { name: `accepted Deno.${type}Conn`, socket: accepted, ...ports(accepted) },
        { name: `Deno.${type}Listener`, socket: listener, localPort: port, remotePort: 0 },
      ],
      [Symbol.dispose]() {
        const close = (one: { close(): void }) => {
          try {
            one.close();
          } catch {
            // The test has closed it.
          }
        };
        close(accepted);
        close(listener);
        // Closed later, since a TLS connection that sends close_notify first leaves its port in TIME-WAIT.
        setTimeout(() => close(client), 100);
      },
    };
  };
}

interface BunSocket {
  localPort: number;
  remotePort: number;
  terminate(): void;
}
interface BunListener {
  port: number;
  stop(all: boolean): void;
}
interface BunNet {
  listen(options: object): BunListener;
  connect(options: object): Promise<BunSocket>;
}

function bunSockets(Bun: BunNet, host: string, secure: boolean): Kind[1] {
  return async () => {
    const { promise, resolve } = Promise.withResolvers<BunSocket>();
    const listener = Bun.listen({
      hostname: host,
      port: 0,
      ...(secure ? { tls: { key, cert } } : {}),
      socket: { data() {}, open: resolve },
    });
    const { port } = listener;
    const handlers = { data() {} };
    const [client, accepted] = await Promise.all([
      Bun.connect({
        hostname: host,
        port,
        ...(secure ? { tls: { ca, serverName: "localhost" } } : {}),
        socket: handlers,
      }),
      promise,
    ]);
    const ports = ({ localPort, remotePort }: BunSocket) => ({ localPort, remotePort });
    const type = secure ? "TLS socket" : "TCP socket";
    return {
      all: [
        { name: `dialled ${type} of Bun`, socket: client, ...ports(client) },
        { name: `accepted ${type} of Bun`, socket: accepted, ...ports(accepted) },
        { name: `listener of Bun`, socket: listener, localPort: port, remotePort: 0 },
      ],
      [Symbol.dispose]() {
        client.terminate();
        accepted.terminate();
        listener.stop(true);
      },
    };
  };
}

/** The part of a server that shows neither its descriptor nor its connections. */
interface HiddenServer {
  name: string;
  server: object;
  port: number;
  /** What a client sends so that its connection is accepted. */
  first?: string;
  stop(): void;
}

/** A server, a client of it, and its connection as `sockets()` finds it. */
function hiddenSockets(host: string, start: () => HiddenServer | Promise<HiddenServer>): Kind[1] {
  return async () => {
    const { name, server, port, first, stop } = await start();
    const client = net.connect(port, host);
    await once(client, "connect");
    client.on("error", () => {});
    if (first !== undefined) client.write(first);
    const find = () => sockets({ localPort: port, remotePort: client.localPort! })[0]!;
    await until(() => find() !== undefined, "accepted");
    return {
      all: [
        ended(client, `client of ${name}`),
        {
          name: `connection of ${name}`,
          socket: find(),
          localPort: port,
          remotePort: client.localPort!,
        },
        { name, socket: server, localPort: port, remotePort: 0 },
      ],
      [Symbol.dispose]() {
        // The side that closes first has the port in TIME-WAIT.
        client.destroy();
        stop();
      },
    };
  };
}

function http2Server(host: string, secure: boolean): () => Promise<HiddenServer> {
  return async () => {
    const server = secure ? http2.createSecureServer({ key, cert }) : http2.createServer();
    await started(server, host);
    const { port } = server.address() as AddressInfo;
    const name = server.constructor.name;
    return { name, server, port, stop: () => void server.close() };
  };
}

interface DenoHttp {
  serve(options: object, handler: () => Response): { addr: DenoAddr; shutdown(): Promise<void> };
}

function denoServer(Deno: DenoHttp, hostname: string, secure: boolean): () => HiddenServer {
  return () => {
    const abort = new AbortController();
    const options = { hostname, port: 0, signal: abort.signal, onListen() {} };
    const server = Deno.serve(secure ? { ...options, key, cert } : options, () => new Response());
    return { name: "Deno.HttpServer", server, port: server.addr.port, stop: () => abort.abort() };
  };
}

interface BunHttp {
  serve(options: object): { port: number; stop(all: boolean): unknown };
}

function bunServer(Bun: BunHttp, hostname: string, secure: boolean): () => HiddenServer {
  return () => {
    const tls = secure ? { key, cert } : undefined;
    const server = Bun.serve({ hostname, port: 0, tls, fetch: () => new Response() });
    const { port } = server;
    // Bun sets TCP_DEFER_ACCEPT, so it accepts a connection when bytes come, or after a second.
    const first = secure ? "\x16" : "G";
    return { name: "Bun.Server", server, port, first, stop: () => void server.stop(true) };
  };
}

const { Deno, Bun } = globalThis as unknown as {
  Deno?: DenoNet & DenoHttp;
  Bun?: BunNet & BunHttp;
};

/** Every kind of socket that this runtime has, over an address of loopback. */
export const kindsOn = (host: string): Kind[] => [
  ["net", netSockets(host, host)],
  ["tls", tlsSockets(host)],
  ["http", httpSockets(host, false)],
  ["https", httpSockets(host, true)],
  ["http2", hiddenSockets(host, http2Server(host, false))],
  ["http2 with TLS", hiddenSockets(host, http2Server(host, true))],
  ...(Deno === undefined ? [] : [
    ["Deno.connect", denoSockets(Deno, host, false)],
    ["Deno.connectTls", denoSockets(Deno, host, true)],
    ["Deno.serve", hiddenSockets(host, denoServer(Deno, host, false))],
    ["Deno.serve with TLS", hiddenSockets(host, denoServer(Deno, host, true))],
  ] as Kind[]),
  ...(Bun === undefined ? [] : [
    ["Bun.connect", bunSockets(Bun, host, false)],
    ["Bun.connect with TLS", bunSockets(Bun, host, true)],
    ["Bun.serve", hiddenSockets(host, bunServer(Bun, host, false))],
    ["Bun.serve with TLS", hiddenSockets(host, bunServer(Bun, host, true))],
  ] as Kind[]),
];

/** The same over IPv4. */
export const kinds: Kind[] = kindsOn("127.0.0.1");
