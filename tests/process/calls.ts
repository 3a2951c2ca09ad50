/** The system calls, for tests that have to be faster than a runtime's sockets. */

import type { Kernel } from "../../src/kernel/kernel.ts";
import { kernelFor } from "../../src/options/support.ts";

export const systemCalls = (): Kernel => kernelFor("tests");
