import { test } from "node:test";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { libraryNames, openLibrary } from "../../../src/kernel/libc.ts";
import { notLinux } from "../../contract/support_listen.ts";
import { skip } from "../../support/skip.ts";

test(
  "without glibc's library it is musl's, by the name that Alpine has for it",
  skip(notLinux),
  () => {
    const asked: string[] = [];
    const opened = openLibrary((file) => {
      asked.push(file);
      if (file === "libc.so.6") throw new Error(`Error loading shared library ${file}`);
      return file;
    });
    assertEquals(asked, libraryNames());
    assertMatch(opened, /^libc\.musl-(x86_64|aarch64)\.so\.1$/);
  },
);

test("where no library opens, the first one's failure counts", skip(notLinux), () => {
  const open = (file: string) => {
    throw new Error(file);
  };
  assertThrows(() => openLibrary(open), Error, "libc.so.6");
});
