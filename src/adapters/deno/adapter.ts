/**
 * Deno as an adapter.
 *
 * @module
 */

import type { Adapter } from "../../adapter.ts";
import { adopt } from "./adopt.ts";
import { connect } from "./connect.ts";
import { handle, natives, openedHandle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";
import { list } from "./descriptor.ts";
import { beyondListen, listen } from "./listen.ts";
import { secure } from "./tls.ts";

/** `Deno.connect` and `Deno.listen`; for sockets of `node:net`, what Node's adapter does. */
export const denoAdapter: Adapter = {
  runtime: "deno",
  enqueuesBesideByob: true,
  natives,
  dialsFrom: false,
  loadKernel,
  connect,
  listen,
  beyondListen,
  secure,
  adopt,
  handle,
  openedHandle,
  list,
};
