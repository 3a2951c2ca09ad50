/** A program that has a guard, and nothing else to do. */

import { guard } from "@holdfast/tcp";

guard({ keepAlive: true, every: 10 });
console.log("guarded");
