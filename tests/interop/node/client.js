// Asks a server on a loopback port for a path over `https` (HTTP/1.1) or `http2`, if its SPIFFE ID is the
// expected one, and writes status and body. TRUSTED is a directory with a bundle, OWN one with an SVID, or
// `none`.
//
// usage: client.js https|http2 PORT PATH EXPECTED TRUSTED OWN

"use strict";

const http2 = require("node:http2");
const https = require("node:https");
const { bundle, id, svid } = require("./files.js");

const [name, port, path, expected, trusted, own] = process.argv.slice(2);
const options = {
  ...(own === "none" ? {} : svid(own)),
  ...bundle(trusted),
  host: "127.0.0.1",
  port,
  minVersion: "TLSv1.3",
  // Node calls this when the chain has been verified.
  checkServerIdentity: (_, certificate) =>
    id(certificate) === expected ? undefined : new Error(`${id(certificate)} is not ${expected}`),
};

const fail = (error) => {
  console.error(`failed: ${error.code ?? error.message}`);
  process.exit(1);
};

// Until there is an answer: a connection may also end without an error.
process.exitCode = 1;

const tell = async (status, body) => {
  const chunks = [];
  for await (const chunk of body) chunks.push(chunk);
  console.log(status, Buffer.concat(chunks).toString().trim());
  process.exitCode = 0;
};

const overHttp1 = () => {
  const request = https.request({ ...options, path, agent: false });
  request.on("error", fail);
  request.on("response", (response) => tell(response.statusCode, response).catch(fail));
  request.end();
};

const overHttp2 = () => {
  const session = http2.connect(`https://127.0.0.1:${port}`, options);
  session.on("error", fail);
  const request = session.request({ ":path": path });
  // What has ended the session ends its streams.
  request.on("error", (error) => fail(error.cause ?? error));
  request.on("response", (headers) =>
    tell(headers[":status"], request)
      .then(() => session.close())
      .catch(fail),
  );
  request.end();
};

if (name === "http2") overHttp2();
else overHttp1();
