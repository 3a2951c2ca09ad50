/**
 * Deno as an adapter.
 *
 * @module
 */

import type { Adapter } from "../../adapter.ts";
import { adopt } from "./adopt.ts";
import { connect } from "./connect.ts";
import { handle, natives } from "./handle.ts";
import { kernel } from "./kernel.ts";
import { list } from "./descriptor.ts";
import { cannotListen, listen, listensNatively } from "./listen.ts";

interface DenoGlobal {
  version: { deno: string };
}

/** `Deno.connect` and `Deno.listen`; for sockets of `node:net`, what Node's adapter does. */
export const denoAdapter: Adapter = {
  runtime: "deno",
  get version() {
    return (globalThis as unknown as { Deno: DenoGlobal }).Deno.version.deno;
  },
  natives,
  kernel,
  connect,
  listen,
  cannotListen,
  listensNatively,
  adopt,
  handle,
  list,
};
