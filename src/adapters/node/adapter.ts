/**
 * Node.js.
 *
 * @module
 */

import type { Adapter } from "../../adapter.ts";
import { host } from "../../kernel/system.ts";
import { connect } from "./connect.ts";
import { handle, natives } from "./handle.ts";
import { kernel } from "./kernel.ts";
import { list } from "./list.ts";
import { cannotListen, listen, listensNatively } from "./listen.ts";
import { adoptSocket } from "./transport.ts";

/** The adapter for Node.js. */
export const nodeAdapter: Adapter = {
  runtime: "node",
  get version(): string {
    return host().versions.node!;
  },
  natives,
  kernel,
  connect,
  listen,
  cannotListen,
  listensNatively,
  adopt: adoptSocket,
  handle: (native, fresh) => handle(native, undefined, fresh),
  list,
};
