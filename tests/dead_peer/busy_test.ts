import { busyRows } from "./busy_rows.ts";
import { testRows } from "./test_rows.ts";

testRows("dead peer of a busy process", busyRows, "busy");
