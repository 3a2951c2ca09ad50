/** The adapter of Deno. */

import type { Adapter } from "../../adapter.ts";
import { adopt } from "./adopt.ts";
import { connect } from "./connect.ts";
import { handle, natives, openedHandle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";
import { list } from "./descriptor.ts";
import { beyondListen, listen } from "./listen.ts";
import { secure } from "./tls.ts";

/** Uses `Deno.connect` and `Deno.listen`, and for sockets of `node:net` parts of Node's adapter. */
export const denoAdapter: Adapter = {
  enqueuesBesideByob: true,
  natives: () => natives,
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
