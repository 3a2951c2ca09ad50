import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { AF_INET, AF_INET6, encode, SOCK_STREAM } from "../../../src/kernel/sockaddr.ts";
import { familyOf } from "../../../src/kernel/tcp_socket.ts";
import { adapter } from "../../../src/runtime.ts";
import { noIpv6, notLinux } from "../../contract/support_listen.ts";
import { skip } from "../../support/skip.ts";

const IPPROTO_IPV6 = 41;
/** Allows binding to an address that no interface has. */
const IPV6_FREEBIND = 78;

test(
  "only an IPv4-mapped address makes an IPv6 socket one of IPv4",
  skip(notLinux ?? noIpv6),
  () => {
    const kernel = adapter().loadKernel().kernel!;
    const family = (address: string) => {
      const four = !address.includes(":");
      const fd = kernel.socket(four ? AF_INET : AF_INET6.linux, SOCK_STREAM, 0);
      if (!four) kernel.setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, Uint8Array.of(1, 0, 0, 0));
      assertEquals(kernel.bind(fd, encode(address, 0, "linux")), 0, address);
      const family = familyOf(kernel, fd);
      kernel.close(fd);
      return family;
    };
    assertEquals(["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(family), ["4", "6", "mapped"]);
    // One that is translated to IPv4, RFC 6145.
    assertEquals(family("::ffff:0:192.0.2.1"), "6");
  },
);
