/** Checks the names of hosts here, so that every runtime accepts and refuses the same ones. */

import { versionOf } from "../kernel/sockaddr.ts";
import { coded } from "../kernel/system_error.ts";

/** Labels of letters, digits, hyphens and underscores, 63 at most (RFC 1035 section 2.3.4). */
const labels = /^(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/;
/** No domain is a number (RFC 3696 section 2). Without the dot it is an address in an old notation. */
const numberedDomain = /(?:^|\.)\d+\.$/;

/**
 * Returns `hostname` in the form that every runtime accepts: international names in ASCII (RFC 5891), and
 * no scope on addresses for which it means nothing (RFC 4007 section 11).
 *
 * @throws {Error} `ENOTFOUND`: a name cannot look like that, so it is not looked up.
 */
export function canonical(hostname: string): string {
  if (versionOf(hostname) === 4) return hostname;
  const [literal = "", scope] = hostname.split("%", 2);
  if (versionOf(literal) === 6) {
    return scope === undefined || /^fe[89ab]/i.test(literal) ? hostname : literal;
  }
  const name = asciiName(hostname);
  if (name === undefined) throw notFound(hostname);
  return name;
}

/** Returns a name in ASCII, or `undefined` when a name cannot look like that. */
export function asciiName(hostname: string): string | undefined {
  const name = /[^!-~]/.test(hostname) ? toASCII(hostname) : hostname;
  const valid = labels.test(name) && name.length <= 254 && !numberedDomain.test(name);
  return valid ? name : undefined;
}

/** Returns an empty string, which is not a valid name, when `name` cannot be converted. */
function toASCII(name: string): string {
  if (/[#%:?@\\]/.test(name)) return "";
  try {
    return new URL(`http://${name}`).hostname;
  } catch {
    return "";
  }
}

/** The error for a name that has no address, as a lookup would reject with it. */
export function notFound(name: string): Error {
  return coded("ENOTFOUND", `getaddrinfo ENOTFOUND ${name}`);
}
