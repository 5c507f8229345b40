// Serves `https` (HTTP/1.1) or `http2` on a loopback port with the SVID in OWN, to whoever has an SVID of
// the bundle in TRUSTED. It tells callers their version of HTTP and their SPIFFE ID, and writes a line for
// each request.
//
// usage: server.js https|http2 OWN TRUSTED

"use strict";

const http2 = require("node:http2");
const https = require("node:https");
const { bundle, id, svid } = require("./files.js");

const [name, own, trusted] = process.argv.slice(2);
const options = { ...svid(own), ...bundle(trusted), requestCert: true, rejectUnauthorized: true };

const answer = (request, response) => {
  console.log("request");
  response.end(`HTTP/${request.httpVersion} ${id(request.socket.getPeerCertificate())}`);
};

const server =
  name === "http2" ? http2.createSecureServer(options, answer) : https.createServer(options, answer);
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
