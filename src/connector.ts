/**
 * Opens sockets for clients of other libraries: they speak the protocol, and this library dials the
 * addresses, sets the limit and the options.
 */

import type { Attempt } from "./adapter.ts";
import { SocketAttempt } from "./adapters/node/connect.ts";
import { net, type NodeSocket } from "./adapters/node/net.ts";
import { checkInteger, fail } from "./check.ts";
import { race } from "./dial/happy_eyeballs.ts";
import { canonical } from "./dial/hostname.ts";
import { misnamed } from "./tls/information.ts";
import { Dialling, type Opened } from "./dialling.ts";
import type { ErrorAddress } from "./errors.ts";
import { builtin } from "./kernel/system.ts";
import { setOptions } from "./options/any_socket.ts";
import { checkConnector, type ConnectorPlan } from "./options/validate.ts";
import type { RetryOptions, SocketOptions } from "./options/types.ts";

/**
 * Options of {@linkcode connector}: options of the sockets that it opens, and the limit of opening one.
 */
export interface ConnectorOptions extends SocketOptions {
  /**
   * Limit in ms of opening a socket: name resolution, every address tried, and the handshakes of TCP and
   * TLS together. `null` is no limit. Required.
   */
  timeout: number | null;
  /** As for {@linkcode connect}. */
  retry?: RetryOptions;
}

/** What clients pass about the connection that they want. Other keys are for `tls.connect`. */
export interface ConnectorTarget {
  /** Name or IP address. */
  readonly hostname?: string | null | undefined;
  /** Used when there is no `hostname`. */
  readonly host?: string | null | undefined;
  /** The port. Default: 80, or 443 for TLS. */
  readonly port?: number | string | null | undefined;
  /** `"https:"` means TLS. */
  readonly protocol?: string | null | undefined;
}

/** A function that opens a `net.Socket` (or `tls.TLSSocket`) for a client. */
export type Connector = (
  target: ConnectorTarget,
  callback?: (...result: [error: Error, socket: never] | [error: null, socket: never]) => void,
) => undefined;

/**
 * Makes a connector for clients that open their sockets by a function that the caller gives them, such as
 * `createConnection` of an `http.Agent` or `https.Agent`, or `connect` of an undici `Agent`. It dials as
 * {@linkcode connect} does: all addresses of the name as RFC 8305 says, under one limit that includes the
 * TLS handshake, and with the socket options in force before the client gets the socket. After a timeout
 * no socket is left. When all addresses fail, `errors` of the {@linkcode SocketError} has the error of
 * each.
 *
 * @param options Socket options and limit.
 * @throws {TypeError | RangeError} An option is unknown, missing or out of range.
 *
 * @example Requests of `node:http` that do not hang while they connect
 * ```ts
 * import { connector } from "@holdfast/tcp";
 * import http from "node:http";
 *
 * const server = http.createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
 * await new Promise((resolve) => server.once("listening", resolve));
 * const { port } = server.address() as { port: number };
 *
 * const agent = new http.Agent({ keepAlive: true });
 * agent.createConnection = connector({ timeout: 5_000, keepAlive: true });
 * const text = await new Promise<string>((resolve, reject) => {
 *   http.get({ port, agent }, (response) => response.on("data", (data) => resolve(String(data))))
 *     .on("error", reject);
 * });
 * console.log(text); // hello
 * agent.destroy();
 * server.close();
 * ```
 */
export function connector(options: ConnectorOptions): Connector {
  const plan = checkConnector(options);
  return (target, callback) => {
    // Nobody would get the socket, nor close it.
    if (typeof callback !== "function") {
      fail(TypeError, "connect", "callback", "must be a function", callback);
    }
    open(plan, target).then(
      (socket) => callback(null, socket as never),
      (error) => callback(error, null as never),
    );
    return undefined;
  };
}

interface NodeTls {
  connect(options: object): NodeSocket;
}

async function open(plan: ConnectorPlan, given: ConnectorTarget): Promise<NodeSocket> {
  if (typeof given !== "object" || given === null) {
    fail(TypeError, "connect", "target", "must be an object", given);
  }
  const hostname = given.hostname ?? given.host ?? "localhost";
  const secure = given.protocol === "https:";
  const dialled = Number(given.port || (secure ? 443 : 80));
  const port = checkInteger(dialled, "port", 1, 65_535, "connect");
  const { socketPath } = given as { socketPath?: unknown };
  if (socketPath) {
    fail(TypeError, "connect", "socketPath", "must not be given to a connector", socketPath);
  }
  if (typeof hostname !== "string") {
    fail(TypeError, "connect", "hostname", "must be a host name or an IP address", hostname);
  }
  const target = { hostname: hostname.replace(/^\[(.*)\]$/, "$1"), port };
  const { timeout, retry } = plan;
  const dial = (hostname: string, port: number) =>
    race({ hostname, port }, (host, _family, port) => {
      const socket = net().connect({ host, port, autoSelectFamily: false });
      return new SocketAttempt(socket, () => new OpenSocket(socket));
    });
  const prepare = ({ native }: OpenSocket) => {
    setOptions(native as never, plan.socket);
    return secure ? handshake(native, given, target.hostname) : undefined;
  };
  return (await new Dialling(target, { timeout }, retry, dial, prepare).promise).native;
}

/** An open `net.Socket`, in the form that dialling needs. */
class OpenSocket implements Opened {
  readonly native: NodeSocket;

  constructor(native: NodeSocket) {
    this.native = native;
  }

  get localAddr(): ErrorAddress {
    return { hostname: this.native.localAddress ?? "", port: this.native.localPort ?? 0 };
  }

  get remoteAddr(): ErrorAddress {
    return { hostname: this.native.remoteAddress ?? "", port: this.native.remotePort ?? -1 };
  }

  close(): void {
    this.native.destroy();
  }

  reset(): void {
    this.native.destroy();
  }
}

/** Starts TLS over an open socket. What the client has given counts, except for the socket itself. */
function handshake(
  plain: NodeSocket,
  given: ConnectorTarget,
  hostname: string,
): Attempt<OpenSocket> {
  // RFC 6066 does not allow an address here.
  const named = net().isIP(hostname) === 0;
  const { path: _, ...options } = given as { path?: unknown };
  const socket = builtin<NodeTls>("node:tls")!.connect({
    ...named && { servername: canonical(hostname) },
    checkServerIdentity: misnamed,
    ...options,
    ...{ socket: plain, host: hostname },
  });
  const attempt = new SocketAttempt(socket, () => new OpenSocket(socket), "secureConnect");
  const close = () => void plain.destroy();
  attempt.opened.catch(close);
  return {
    opened: attempt.opened,
    abort() {
      attempt.abort();
      close();
    },
  };
}
