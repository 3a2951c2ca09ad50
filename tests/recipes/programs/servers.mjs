/**
 * HTTP, HTTP/2, WebSocket and gRPC servers in one process, for clients on another machine. What is asked
 * slowly is answered after `SLOW` ms. Plain JavaScript: any Node.js runs it.
 *
 *     node servers.mjs CLIENTS SLOW
 *
 * @module
 */

import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createRequire } from "node:module";
import process from "node:process";

const [clients, slow] = process.argv.slice(2);
const require = createRequire(`${clients}/`);
const { WebSocketServer } = require("ws");
const grpc = require("@grpc/grpc-js");

const after = (ms, act) => setTimeout(act, ms);
const answer = (request, response) => {
  const late = request.url === "/slow";
  after(late ? Number(slow) : 0, () => response.end("hello"));
};

const http = createServer(answer);
http.keepAliveTimeout = 300_000;
const http2 = createHttp2Server(answer);
const ws = new WebSocketServer({ host: "0.0.0.0", port: 0 });
ws.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const text = String(data);
    after(text === "slow" ? Number(slow) : 0, () => socket.send(text));
  });
});
for (const server of [http, http2]) server.listen(0, "0.0.0.0");
await Promise.all([http, http2, ws].map((server) => once(server, "listening")));

const server = new grpc.Server();
const plain = { serialize: (text) => Buffer.from(text), deserialize: (bytes) => bytes.toString() };
server.addService({
  echo: {
    path: "/test.Test/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: plain.serialize,
    requestDeserialize: plain.deserialize,
    responseSerialize: plain.serialize,
    responseDeserialize: plain.deserialize,
  },
}, {
  echo: ({ request }, callback) =>
    after(request === "slow" ? Number(slow) : 0, () => callback(null, request)),
});
const grpcPort = await new Promise((resolve, reject) => {
  const credentials = grpc.ServerCredentials.createInsecure();
  server.bindAsync(
    "0.0.0.0:0",
    credentials,
    (error, port) => error ? reject(error) : resolve(port),
  );
});
const ports = { http: http.address().port, http2: http2.address().port, ws: ws.address().port };
console.log(JSON.stringify({ ...ports, grpc: grpcPort }));
