import { diagnosisRows } from "./diagnosis_rows.ts";
import { outageRows } from "./outage_rows.ts";
import { rows } from "./rows.ts";
import { testRows } from "./test_rows.ts";
import { tlsRows } from "./tls_rows.ts";

testRows("dead peer", [...rows, ...outageRows, ...diagnosisRows, ...tlsRows], "rows");
