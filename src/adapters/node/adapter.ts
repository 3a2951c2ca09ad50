/** The adapter of Node.js. */

import type { Adapter } from "../../adapter.ts";
import { list } from "../../kernel/descriptors.ts";
import { adopt } from "./adopt.ts";
import { connect } from "./connect.ts";
import { handle, natives, openedHandle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";
import { beyondListen, listen } from "./listen.ts";
import { secure } from "./tls.ts";

/** Uses `node:net`. */
export const nodeAdapter: Adapter = {
  enqueuesBesideByob: true,
  natives,
  dialsFrom: true,
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
