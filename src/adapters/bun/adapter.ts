/**
 * What Bun offers.
 *
 * @module
 */

import type { Adapter } from "../../adapter.ts";
import { host } from "../../kernel/system.ts";
import { adopt } from "./adopt.ts";
import { connect } from "./connect.ts";
import { handle, natives } from "./handle.ts";
import { kernel } from "./kernel.ts";
import { list } from "../node/list.ts";
import { cannotListen, listen, listensNatively } from "./listen.ts";

/** The adapter for Bun. */
export const bunAdapter: Adapter = {
  runtime: "bun",
  get version() {
    return host().versions.bun!;
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
