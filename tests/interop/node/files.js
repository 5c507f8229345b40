// What is in a directory with an SVID, as the options of Node's TLS.

"use strict";

const fs = require("node:fs");
const path = require("node:path");

const PREFIX = "URI:";

exports.svid = (directory) => ({
  cert: fs.readFileSync(path.join(directory, "svid.pem")),
  key: fs.readFileSync(path.join(directory, "svid_key.pem")),
});

exports.bundle = (directory) => ({ ca: fs.readFileSync(path.join(directory, "bundle.pem")) });

// The SPIFFE ID of a certificate whose chain has been verified; none where there are several.
exports.id = (certificate) => {
  const uris = certificate.subjectaltname.split(", ").filter((name) => name.startsWith(PREFIX));
  return uris.length === 1 ? uris[0].slice(PREFIX.length) : undefined;
};
