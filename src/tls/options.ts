/** The options of TLS, which are checked before anything is opened. */

import { checkFlag, copyOptions, describe, fail, type Options } from "../check.ts";
import { asciiName } from "../dial/hostname.ts";
import type { SecureContext } from "../kernel/modules.ts";
import { literalVersion } from "../kernel/sockaddr.ts";
import { builtin } from "../kernel/system.ts";

/**
 * Options of TLS for a client. Certificates and keys are PEM text.
 *
 * @example An authority of your own
 * ```ts
 * import type { TlsOptions } from "@holdfast/tcp";
 *
 * const tls: TlsOptions = { serverName: "db.internal", alpnProtocols: ["postgresql"] };
 * console.log(tls.serverName); // db.internal
 * ```
 */
export interface TlsOptions {
  /**
   * Authorities to trust, instead of those that the runtime trusts.
   * @default the runtime's
   */
  ca?: string | readonly string[];
  /** Our own certificate, followed by the certificates that lead to its authority. Needs `key`. */
  cert?: string;
  /** The private key of `cert`. */
  key?: string;
  /**
   * Name that is sent (SNI, RFC 6066 section 3) and that the peer's certificate must have.
   * @default the `hostname` of the connection
   */
  serverName?: string;
  /** Protocols to offer, the preferred one first (ALPN, RFC 7301). `connection.tls` shows the choice. */
  alpnProtocols?: readonly string[];
  /**
   * Oldest version to agree on.
   * @default "TLSv1.2"
   */
  minVersion?: "TLSv1.2" | "TLSv1.3";
  /**
   * Whether the peer needs a valid certificate with the right name. With `false`, anybody on the way to
   * the peer can read and change everything.
   * @default true
   */
  rejectUnauthorized?: boolean;
}

/** A certificate and its private key, as PEM text. */
export interface TlsCertificate {
  /** The certificate, followed by the certificates that lead to its authority. */
  cert: string;
  /** Its private key. */
  key: string;
}

/**
 * Options of TLS for a server. Certificates and keys are PEM text.
 *
 * @example One certificate for every name but one
 * ```ts
 * import type { ServerTlsOptions, TlsCertificate } from "@holdfast/tcp";
 *
 * const serve = (usual: TlsCertificate, other: TlsCertificate): ServerTlsOptions => ({
 *   ...usual,
 *   sni: (name) => name === "other.example" ? other : undefined,
 * });
 * console.log(typeof serve); // function
 * ```
 */
export interface ServerTlsOptions extends TlsCertificate {
  /** Authorities from which client certificates have to come. Needs `requestCert`. */
  ca?: string | readonly string[];
  /**
   * Asks clients for a certificate (RFC 8446 section 4.3.2).
   * @default false
   */
  requestCert?: boolean;
  /**
   * With `requestCert`: whether a client needs a valid certificate.
   * @default true
   */
  rejectUnauthorized?: boolean;
  /** Protocols to choose from, the preferred one first (ALPN). A client with none of them is refused. */
  alpnProtocols?: readonly string[];
  /**
   * Oldest version to agree on.
   * @default "TLSv1.2"
   */
  minVersion?: "TLSv1.2" | "TLSv1.3";
  /**
   * Returns the certificate for the name that a client sends (SNI), or `undefined` for the usual one. The
   * name has small letters. If it throws, the client is refused.
   */
  sni?: (name: string) => TlsCertificate | undefined | Promise<TlsCertificate | undefined>;
}

/** What a handshake has to do, on both sides. */
interface Plan {
  readonly context: SecureContext;
  readonly alpnProtocols: readonly string[] | undefined;
  readonly rejectUnauthorized: boolean;
  /** What a client has sent of its handshake before the server has begun. */
  readonly early?: Uint8Array;
}

/** What a client's handshake has to do. */
export interface ClientPlan extends Plan {
  readonly server: false;
  /** The name or the IP address that the peer's certificate must have. */
  readonly name: string;
  /** The name to send, if it is not an IP address. */
  readonly serverName: string | undefined;
}

/** What a server's handshake has to do. */
export interface ServerPlan extends Plan {
  readonly server: true;
  readonly requestCert: boolean;
  readonly sni: ((name: string) => Promise<SecureContext | undefined>) | undefined;
}

/** What a handshake has to do. */
export type TlsPlan = ClientPlan | ServerPlan;

const sharedKeys = ["ca", "cert", "key", "alpnProtocols", "minVersion", "rejectUnauthorized"];

/**
 * Checks the options of a client. `true` means the defaults.
 *
 * @param within The option that they are part of, such as `tls`, if any.
 * @param hostname The name of the peer, if it is known.
 */
export function checkTls(
  options: unknown,
  verb: string,
  within: string | undefined,
  hostname: string | undefined,
): ClientPlan {
  if (within !== undefined && options !== true && (typeof options !== "object" || !options)) {
    fail(TypeError, verb, within, "must be true or an object of options", options);
  }
  const keys = [...sharedKeys, "serverName"];
  const given = options === true ? {} : copyOptions(options, keys, verb, within);
  const name = naming(within);
  const { serverName = hostname } = given;
  const peer = typeof serverName === "string" ? peerOf(serverName) : undefined;
  // A `hostname` that is none fails when it is dialled.
  if (peer === undefined && (serverName !== hostname || hostname === undefined)) {
    fail(TypeError, verb, name("serverName"), "must be a host name", serverName);
  }
  if ((given.cert === undefined) !== (given.key === undefined)) {
    throw new TypeError(
      `Cannot ${verb} as '${name("cert")}' and '${name("key")}' must be given together`,
    );
  }
  return {
    ...shared(given, verb, name, given.ca !== undefined),
    server: false,
    name: peer ?? "",
    serverName: peer && literalVersion(peer) === undefined ? peer : undefined,
  };
}

/**
 * Returns an address without its scope, which no certificate has, or a name as it is sent: in ASCII, in
 * small letters, and without the dot at its end (RFC 6066 section 3).
 */
function peerOf(serverName: string): string | undefined {
  if (literalVersion(serverName) !== undefined) return serverName.split("%", 1)[0];
  return asciiName(serverName)?.replace(/\.$/, "").toLowerCase();
}

/** Checks the options of a server. */
export function checkServerTls(
  options: unknown,
  verb: string,
  within: string | undefined,
): ServerPlan {
  const given = copyOptions(options, [...sharedKeys, "requestCert", "sni"], verb, within);
  const name = naming(within);
  for (const key of ["cert", "key"]) {
    if (given[key] === undefined) fail(TypeError, verb, name(key), "must be PEM text", undefined);
  }
  const requestCert = flag(given, "requestCert", verb, name) ?? false;
  const { sni } = given;
  if (sni !== undefined && typeof sni !== "function") {
    fail(TypeError, verb, name("sni"), "must be a function", sni);
  }
  const minVersion = version(given, verb, name);
  return {
    ...shared(given, verb, name, !requestCert),
    server: true,
    requestCert,
    sni: sni && (async (asked) => {
      const found = await (sni as NonNullable<ServerTlsOptions["sni"]>)(asked.toLowerCase());
      if (found === undefined) return undefined;
      const { cert, key } = copyOptions(found, ["cert", "key"], verb, "sni's result");
      // Without one, some runtimes take the listener's.
      if (!cert || !key) {
        throw new TypeError(`Cannot ${verb} as sni's result has no cert or no key`);
      }
      const made = { cert, key, ca: given.ca };
      return contextOf(made, minVersion, verb, (key) => `sni.${key}`, !requestCert);
    }),
  };
}

type Naming = (key: string) => string;

function naming(within: string | undefined): Naming {
  return (key) => within === undefined ? key : `${within}.${key}`;
}

function shared(given: Options, verb: string, name: Naming, reuse: boolean): Plan {
  const { alpnProtocols } = given;
  if (alpnProtocols !== undefined) {
    // The length of each is sent as one byte (RFC 7301 section 3.1).
    const fits = Array.isArray(alpnProtocols) && alpnProtocols.length > 0 &&
      alpnProtocols.every((one) => typeof one === "string" && /^[\x21-\x7e]{1,255}$/.test(one));
    if (!fits) {
      const expected = "must be an array of protocol names, 1 to 255 visible ASCII characters each";
      fail(TypeError, verb, name("alpnProtocols"), expected, alpnProtocols);
    }
  }
  return {
    context: contextOf(given, version(given, verb, name), verb, name, reuse),
    alpnProtocols: alpnProtocols as readonly string[] | undefined,
    rejectUnauthorized: flag(given, "rejectUnauthorized", verb, name) ?? true,
  };
}

function version({ minVersion = "TLSv1.2" }: Options, verb: string, name: Naming): string {
  if (minVersion === "TLSv1.2" || minVersion === "TLSv1.3") return minVersion;
  fail(TypeError, verb, name("minVersion"), 'must be "TLSv1.2" or "TLSv1.3"', minVersion);
}

function flag(given: Options, key: string, verb: string, name: Naming): boolean | undefined {
  return given[key] === undefined ? undefined : checkFlag(given[key], name(key), verb);
}

/** The last contexts, by what they were made of. */
const recent: { readonly from: readonly unknown[]; readonly context: SecureContext }[] = [];
const mostRecent = 8;

/**
 * Returns a context, with `reuse` the same for the same certificates. A context of its own would cost a
 * connection up to a fifth of its CPU time, and in Bun a third of its memory. A program can change what its
 * runtime trusts, so a client without `ca` gets its own. So does a server that asks for certificates, since a
 * client that resumes a session is not asked again, and its session must come from the same server.
 */
function contextOf(
  given: Options,
  minVersion: string,
  verb: string,
  name: Naming,
  reuse: boolean,
): SecureContext {
  if (!reuse) return newContext(given, minVersion, verb, name);
  const { ca, cert, key } = given;
  const from = [minVersion, cert, key].concat(ca);
  const known = recent.find((one) =>
    one.from.length === from.length && one.from.every((part, i) => part === from[i])
  );
  if (known !== undefined) return known.context;
  const context = newContext(given, minVersion, verb, name);
  recent.unshift({ from, context });
  recent.splice(mostRecent);
  return context;
}

/** Reads the certificates and the key, so that a mistake in them is noticed before anything is opened. */
function newContext(given: Options, minVersion: string, verb: string, name: Naming): SecureContext {
  const { cert, key } = given;
  const ca = given.ca === undefined || Array.isArray(given.ca) ? given.ca : [given.ca];
  const pem = Object.entries({ cert, key }).concat(
    (ca as unknown[] | undefined ?? []).map((one) => ["ca", one]),
  );
  for (const [which, value] of pem) {
    if (value === undefined) continue;
    if (typeof value === "string" && value.includes("-----BEGIN ")) continue;
    // The text is not shown, since it may be a key.
    const shown = typeof value === "string" ? "another text" : describe(value);
    throw new TypeError(
      `Cannot ${verb} as '${name(which)}' must be PEM text: current value is ${shown}`,
    );
  }
  try {
    // Some runtimes check them only when a handshake needs them.
    const { X509Certificate, createPrivateKey } = builtin("node:crypto");
    for (const one of ca as string[] | undefined ?? []) new X509Certificate(one);
    const own = cert === undefined ? undefined : new X509Certificate(cert as string);
    if (own?.checkPrivateKey(createPrivateKey(key as string)) === false) {
      throw new Error("the key belongs to another certificate");
    }
    return builtin("node:tls").createSecureContext({
      ca: ca as readonly string[] | undefined,
      cert: cert as string | undefined,
      key: key as string | undefined,
      minVersion,
      // Without one, Node refuses clients that resume a session, if it asks them for a certificate.
      sessionIdContext: "holdfast",
    });
  } catch (cause) {
    const { message } = cause as Error;
    throw new TypeError(
      `Cannot ${verb} as '${name("cert")}', '${name("key")}' and '${name("ca")}' ` +
        `must be certificates and the key that belongs to them: ${message}`,
      { cause },
    );
  }
}
