import { test } from "node:test";
import { assertEquals, assertThrows } from "@std/assert";
import { decode, encode, familyIn, parse, unmapped } from "../../../src/kernel/sockaddr.ts";
import type { KnownSystem } from "../../../src/kernel/system.ts";

const systems: KnownSystem[] = ["linux", "darwin", "freebsd", "windows"];

test("sockaddr: IPv4 as the systems' headers lay it out", () => {
  const rest = [0x1f, 0x90, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
  assertEquals([...encode("192.0.2.1", 8080, "linux")], [2, 0, ...rest]);
  assertEquals([...encode("192.0.2.1", 8080, "windows")], [2, 0, ...rest]);
  assertEquals([...encode("192.0.2.1", 8080, "darwin")], [16, 2, ...rest]);
  assertEquals([...encode("192.0.2.1", 8080, "freebsd")], [16, 2, ...rest]);
});

test("sockaddr: IPv6 as the systems' headers lay it out", () => {
  const ip = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
  const rest = [0x1f, 0x90, 0, 0, 0, 0, ...ip, 3, 0, 0, 0];
  assertEquals([...encode("fe80::1%3", 8080, "linux")], [10, 0, ...rest]);
  assertEquals([...encode("fe80::1%3", 8080, "windows")], [23, 0, ...rest]);
  assertEquals([...encode("fe80::1%3", 8080, "darwin")], [28, 30, ...rest]);
  assertEquals([...encode("fe80::1%3", 8080, "freebsd")], [28, 28, ...rest]);
});

test("sockaddr: what was encoded is decoded, in the shortest form (RFC 5952)", () => {
  const rows: [given: string, shown: string][] = [
    ["127.0.0.1", "127.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["FE80::ABCD", "fe80::abcd"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
    ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["fe80::1%4", "fe80::1%4"],
  ];
  for (const system of systems) {
    for (const [given, shown] of rows) {
      const bytes = encode(given, 65_535, system);
      assertEquals(decode(bytes, bytes.length, system), {
        transport: "tcp",
        hostname: shown,
        port: 65_535,
      });
      assertEquals(familyIn(bytes, system), familyIn(encode(shown, 0, system), system));
    }
  }
});

test("sockaddr: another family decodes to nothing", () => {
  const unix = new Uint8Array(28);
  unix[0] = 1;
  assertEquals(decode(unix, unix.length, "linux"), undefined);
  assertEquals(decode(encode("::1", 1, "darwin"), 28, "freebsd"), undefined);
  assertEquals(decode(new Uint8Array(16), 8, "linux"), undefined);
});

test("sockaddr: only IP literals are parsed", () => {
  const wrong = [
    ...["", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "0x7f.0.0.1"],
    ...[":", ":::", "1:", ":1", "1:2:3", "1::2::3", "::12345", "::g", "1.2.3.4::", "::1.2.3"],
    ...["1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "1:2:3:4:5:6:7:1.2.3.4", "[::1]"],
  ];
  for (const literal of wrong) {
    assertEquals(parse(literal), undefined, literal);
    assertThrows(() => encode(literal, 1, "linux"), TypeError, "no IP literal");
  }
  assertThrows(() => encode("fe80::1%eth0", 1, "linux"), TypeError);
  // It would be scope 3 in 32 bits.
  assertEquals(encode("fe80::1%4294967299", 1, "linux").subarray(24).join(), "255,255,255,255");
});

test("sockaddr: unmapped shows IPv4 behind IPv6, and one spelling of the rest", () => {
  const rows: [given: string, shown: string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:C000:201", "192.0.2.1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["FE80::1%eth0", "fe80::1%eth0"],
    ["not an address", "not an address"],
  ];
  for (const [given, shown] of rows) assertEquals(unmapped(given), shown);
});
