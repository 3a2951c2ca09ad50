import { guardRows } from "./guard_rows.ts";
import { testRows } from "./test_rows.ts";

testRows("guarded", guardRows, "guard");
