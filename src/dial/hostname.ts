/**
 * Names of hosts, so that every runtime takes and refuses the same ones.
 *
 * @module
 */

import { parse } from "../kernel/sockaddr.ts";

/** Labels of letters, digits, hyphens and underscores, 63 at most (RFC 1035 section 2.3.4). */
const labels = /^(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/;
/** No domain is a number (RFC 3696 section 2). Without the dot it is an address in an old notation. */
const numberedDomain = /(?:^|\.)\d+\.$/;

/**
 * `hostname` as every runtime takes it: names in the letters of other languages as the name system has
 * them (RFC 5891), and no scope where it means nothing (RFC 4007 section 11).
 *
 * @throws {Error} `ENOTFOUND`: no name looks like that, so nobody needs to be asked.
 */
export function canonical(hostname: string): string {
  const [literal = "", scope] = hostname.split("%", 2);
  if (literal.includes(":") && parse(literal) !== undefined) {
    return scope === undefined || /^fe[89ab]/i.test(literal) ? hostname : literal;
  }
  const name = /[^!-~]/.test(hostname) ? toASCII(hostname) : hostname;
  if (labels.test(name) && name.length <= 254 && !numberedDomain.test(name)) return name;
  throw notFound(hostname);
}

/** What no name is, if it cannot be done. */
function toASCII(name: string): string {
  if (/[#%:?@\\]/.test(name)) return "";
  try {
    return new URL(`http://${name}`).hostname;
  } catch {
    return "";
  }
}

/** What looking up a name answers that nobody has. */
export function notFound(name: string): Error {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" });
}
