import process from "node:process";
import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import {
  DeadPeerError,
  type Operation,
  SocketError,
  TimeoutError,
  toSocketError,
  UnsupportedOptionError,
} from "../../src/errors.ts";
import { skip } from "../support/skip.ts";

const address = { hostname: "192.0.2.1", port: 6379 };
const linux = process.platform === "linux" ? undefined : "these are Linux's numbers";

test("TimeoutError says operation, address, limit and bytes", () => {
  const error = new TimeoutError({
    operation: "write",
    timeout: 250,
    address,
    bytesWritten: 7,
    diagnosis: "the peer's receive window is closed",
  });
  assertEquals(
    error.message,
    "Cannot write to 192.0.2.1:6379 within 250 ms (7 bytes written): " +
      "the peer's receive window is closed",
  );
  assertEquals([error.name, error.code], ["TimeoutError", "ETIMEDOUT"]);
  assertEquals([error.operation, error.timeout, error.bytesWritten], ["write", 250, 7]);
  assertEquals(error.address, address);
});

test(
  "what routers report has its name, also where the runtime has no class for it",
  skip(linux),
  () => {
    for (const [errno, code] of [[112, "EHOSTDOWN"], [64, "ENONET"], [113, "EHOSTUNREACH"]]) {
      const error = toSocketError(new Error(`down (os error ${errno})`), "connect") as SocketError;
      assertEquals(error.code, code);
    }
    assertInstanceOf(toSocketError(new Error("down (os error 112)"), "read"), DeadPeerError);
  },
);

test("an error's address has the preposition of its operation and brackets around IPv6", () => {
  const v6 = { hostname: "::1", port: 1 };
  const message = (operation: "connect" | "read" | "accept") =>
    new TimeoutError({ operation, timeout: 1, address: v6 }).message;
  assertEquals(message("connect"), "Cannot connect to [::1]:1 within 1 ms");
  assertEquals(message("read"), "Cannot read from [::1]:1 within 1 ms");
  assertEquals(message("accept"), "Cannot accept on [::1]:1 within 1 ms");
});

test("the kernel giving up an open connection is a DeadPeerError, anything else is not", () => {
  for (const code of ["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]) {
    const cause = Object.assign(new Error("native"), { code });
    for (const operation of ["read", "write"] as const) {
      const error = toSocketError(cause, operation, address);
      assertInstanceOf(error, DeadPeerError);
      assertEquals([error.name, error.code, error.operation], ["DeadPeerError", code, operation]);
      assertStrictEquals(error.cause, cause);
    }
    assertFalse(toSocketError(cause, "connect") instanceof DeadPeerError);
  }
  const reset = toSocketError(Object.assign(new Error("native"), { code: "ECONNRESET" }), "read");
  assertInstanceOf(reset, SocketError);
  assertFalse(reset instanceof DeadPeerError);
});

test("what ends a waiting call since its socket was closed is ECANCELED", () => {
  const code = (properties: object, operation: "accept" | "read" | "write" | "setsockopt") => {
    const error = toSocketError(Object.assign(new Error("native"), properties), operation);
    assertInstanceOf(error, SocketError);
    return error.code;
  };
  for (const operation of ["accept", "read", "write"] as const) {
    assertEquals(code({ name: "Interrupted", code: "EINTR" }, operation), "ECANCELED");
    assertEquals(code({ name: "BadResource" }, operation), "ECANCELED");
  }
  assertEquals(code({ name: "BadResource" }, "setsockopt"), "EBADF");
});

test("codes come from whatever the runtime's error has", () => {
  const code = (properties: object) => {
    const error = toSocketError(Object.assign(new Error("native"), properties), "connect");
    assertInstanceOf(error, SocketError);
    return error.code;
  };
  assertEquals(code({ code: "ECONNREFUSED" }), "ECONNREFUSED");
  assertEquals(code({ name: "AddrInUse" }), "EADDRINUSE");
  assertEquals(code({ name: "ConnectionReset", code: "ERR_SOMETHING" }), "ECONNRESET");
  assertEquals(code({ code: "EAI_NONAME" }), "ENOTFOUND");
  assertEquals(code({ code: "ESERVFAIL" }), "EAI_AGAIN");
  assertEquals(code({ code: "EINVAL", syscall: "getaddrinfo" }), "ENOTFOUND");
  assertEquals(code({ code: "EINVAL", syscall: "bind" }), "EINVAL");
  assertEquals(code({ code: "ERR_SOCKET_CLOSED" }), "EPIPE");
  assertEquals(
    code({ message: "failed to lookup address information: Name or service not known" }),
    "ENOTFOUND",
  );
  assertEquals(
    code({ message: "failed to lookup address information: Temporary failure in name resolution" }),
    "EAI_AGAIN",
  );
});

test("TLS errors say the same in every runtime, and nothing for developers of OpenSSL", () => {
  const message = (code: string, message: string) =>
    toSocketError(Object.assign(new Error(message), { code }), "connect", address).message;
  for (const words of ["certificate has expired", "cert has expired"]) {
    assertEquals(
      message("CERT_HAS_EXPIRED", words),
      "Cannot connect to 192.0.2.1:6379: the peer's certificate has expired (CERT_HAS_EXPIRED)",
    );
  }
  const refused = "40C32AC45C7F0000:error:0A000460:SSL routines:ssl3_read_bytes:" +
    "tlsv1 alert no application protocol:../ssl/record/rec_layer_s3.c:918:SSL alert number 120\n";
  assertEquals(
    message("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", refused),
    "Cannot connect to 192.0.2.1:6379: tlsv1 alert no application protocol (EPROTO)",
  );
  assertEquals(
    message("ERR_SSL_WRONG_VERSION_NUMBER", "wrong version number\n"),
    "Cannot connect to 192.0.2.1:6379: wrong version number (EPROTO)",
  );
  const inBun = "error:1000042e:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION";
  assertEquals(
    message("ERR_SSL_PROTOCOL", inBun),
    "Cannot connect to 192.0.2.1:6379: tlsv1 alert protocol version (EPROTO)",
  );
  assertEquals(
    message("UNSPECIFIED", "EE certificate key too weak"),
    "Cannot connect to 192.0.2.1:6379: EE certificate key too weak (UNSPECIFIED)",
  );
});

test("errors that are ours, and errors without a code, stay as they are", () => {
  const ours = [
    new TimeoutError({ operation: "read", timeout: 1 }),
    new SocketError({ code: "EPIPE", operation: "write" }),
    new UnsupportedOptionError({ option: "x", runtime: "r", system: "s", reason: "because" }),
    new TypeError("somebody's bug"),
  ];
  for (const error of ours) assertStrictEquals(toSocketError(error, "read"), error);
});

test("UnsupportedOptionError names option, runtime, system, reason and remedy", () => {
  const error = new UnsupportedOptionError({
    option: "userTimeout",
    runtime: "deno 2.9.6",
    system: "linux",
    reason: "there is no FFI",
    remedy: "needs --allow-ffi",
  });
  assertEquals(
    error.message,
    "Cannot use 'userTimeout' in deno 2.9.6 on linux: there is no FFI; needs --allow-ffi",
  );
  assert(error instanceof Error);
});

test("connectionUsable: what timed out or was refused stays, what ended does not", () => {
  const usable = (operation: Operation, code: string) =>
    new SocketError({ operation, code }).connectionUsable;
  for (const operation of ["read", "write", "accept"] as const) {
    assert(new TimeoutError({ operation, timeout: 1 }).connectionUsable);
  }
  assertFalse(new TimeoutError({ operation: "connect", timeout: 1 }).connectionUsable);
  assert(usable("accept", "EMFILE"));
  assert(usable("accept", "ECONNABORTED"));
  assert(usable("setsockopt", "EINVAL"));
  assert(usable("getsockopt", "ENOPROTOOPT"));
  for (const operation of ["connect", "listen", "accept", "read", "write"] as const) {
    for (const code of ["ECANCELED", "EBADF", "ECONNRESET", "EPIPE"]) {
      assertFalse(usable(operation, code), `${operation} ${code}`);
    }
  }
  assertFalse(usable("setsockopt", "EBADF"));
  assertFalse(new DeadPeerError({ operation: "read", code: "ETIMEDOUT" }).connectionUsable);
  const unsupported = { option: "a", runtime: "b", system: "c", reason: "d" };
  assert(new UnsupportedOptionError(unsupported).connectionUsable);
});

test("an error's address is a frozen copy of what it is about, and no more", () => {
  const plan = { hostname: "::1", port: 1, backlog: 5 };
  for (
    const error of [
      new SocketError({ code: "EPIPE", operation: "listen", address: plan }),
      new TimeoutError({ operation: "accept", timeout: 1, address: plan }),
    ]
  ) {
    assertEquals(error.address, { hostname: "::1", port: 1 });
    assert(Object.isFrozen(error.address));
  }
});
