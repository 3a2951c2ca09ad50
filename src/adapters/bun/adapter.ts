/** The adapter of Bun. */

import type { Adapter } from "../../adapter.ts";
import { list } from "../../kernel/descriptors.ts";
import { adopt } from "./adopt.ts";
import { connect } from "./connect.ts";
import { handle, natives, openedHandle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";
import { beyondListen, listen } from "./listen.ts";
import { secure } from "./tls.ts";

/** Uses Bun's own sockets, and for sockets of `node:net` parts of Node's adapter. */
export const bunAdapter: Adapter = {
  enqueuesBesideByob: false,
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
