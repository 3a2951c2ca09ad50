import { test } from "node:test";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { mustNotAbort } from "../../../../src/adapters/node/koffi.ts";

test("a koffi that would abort under musl is not loaded there", () => {
  for (const version of ["2.9.0", "2.14.1", "3.0.2", "3.1.2"]) {
    assertThrows(
      () => mustNotAbort(version, () => true),
      Error,
      `${version} would end the process`,
    );
  }
});

test("a koffi that musl suits is loaded, and every one elsewhere", () => {
  const asked: string[] = [];
  const exists = (file: string) => {
    asked.push(file);
    return false;
  };
  for (const version of ["3.1.3", "3.2.0", "4.0.0", "unknown"]) mustNotAbort(version, () => true);
  for (const version of ["2.9.0", "3.1.2"]) mustNotAbort(version, exists);
  assertEquals(asked.length, 2);
  assertMatch(asked[0]!, /^\/lib\/ld-musl-\w+\.so\.1$/);
});
