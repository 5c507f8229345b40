"""What the fake agent says, what it will say, and what it has been asked."""

import threading
from dataclasses import dataclass, field

import grpc
from google.protobuf import json_format
from spiffe._proto import workload_pb2

from authority import KEYS, TOKENS, Authority, pkcs8

METHODS = ["FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID"]
GARBAGE = b"this is neither DER nor JSON"
PATIENCE = 60


@dataclass
class Published:
    """One revision of all answers. Without SVIDs no identity has been given."""

    identities: list = field(default_factory=list)
    x509_svids: workload_pb2.X509SVIDResponse = None
    x509_bundles: workload_pb2.X509BundlesResponse = None
    jwt_bundles: workload_pb2.JWTBundlesResponse = None


class Agent:
    """Each public method that is a command changes what will be said; `send` says it."""

    def __init__(self):
        self.changed = threading.Condition()
        self._authorities = {}
        self._svids = []
        self._federated = []
        self._garbled = set()
        self._keys = "P-256"
        self.tokens = "sound"
        self.token_ttl = 300
        self.published = Published()
        self.revision = 0
        self.refusals = {}
        self.held = set()
        self._calls = []
        self.streams = set()
        self.ending = set()

    def authority(self, trust_domain):
        return self._authorities.setdefault(trust_domain, Authority(trust_domain))

    # Commands that change the next message

    def set_svids(self, *ids):
        """Issues an SVID for each `ID` or `ID#HINT`, and tells their serials."""
        self._svids = []
        for spiffe_id, _, hint in (text.partition("#") for text in ids):
            authority = self.authority(trust_domain_of(spiffe_id))
            self._svids.append(authority.issue(spiffe_id, self._keys, hint))
        return [svid.serial for svid in self._svids]

    def misfit(self):
        """Puts another key beside the first SVID."""
        self._svids[0].key = pkcs8(KEYS[self._keys]())

    def set_keys(self, kind):
        """The kind of the keys of SVIDs from now on."""
        if kind not in KEYS:
            raise ValueError(f"there are {', '.join(KEYS)}")
        self._keys = kind

    def federate(self, *trust_domains):
        """The foreign trust domains whose bundles are sent."""
        self._federated = list(trust_domains)

    def garble(self, profile, trust_domain):
        """Sends what cannot be read instead of a bundle, `x509` or `jwt`."""
        if profile not in ("x509", "jwt"):
            raise ValueError("there are x509, jwt")
        self._garbled.add((profile, trust_domain))

    def mend(self):
        """Sends bundles again that can be read."""
        self._garbled.clear()

    def rotate_authority(self, trust_domain):
        self.authority(trust_domain).rotate()

    def retire_authority(self, trust_domain):
        self.authority(trust_domain).retire()

    def bundle(self, trust_domain):
        """The roots of a trust domain, hexadecimal DER."""
        return [root.hex() for root in self.authority(trust_domain).roots()]

    def send(self):
        """Says to all open streams, and to all that come, what has been prepared."""
        own = {trust_domain_of(svid.spiffe_id) for svid in self._svids}
        federated = {id_of(domain): self._x509_bundle(domain) for domain in self._federated}
        published = Published(
            identities=[(svid.spiffe_id, svid.hint) for svid in self._svids],
            x509_svids=workload_pb2.X509SVIDResponse(
                svids=[self._message(svid) for svid in self._svids], federated_bundles=federated
            ),
            x509_bundles=workload_pb2.X509BundlesResponse(
                bundles=federated | {id_of(domain): self._x509_bundle(domain) for domain in own}
            ),
            jwt_bundles=workload_pb2.JWTBundlesResponse(
                bundles={id_of(domain): self._jwt_bundle(domain) for domain in own.union(self._federated)}
            ),
        )
        with self.changed:
            self.published = published
            self.revision += 1
            self.changed.notify_all()

    def _message(self, svid):
        return workload_pb2.X509SVID(
            spiffe_id=svid.spiffe_id,
            x509_svid=svid.chain,
            x509_svid_key=svid.key,
            bundle=self._x509_bundle(trust_domain_of(svid.spiffe_id)),
            hint=svid.hint,
        )

    def _x509_bundle(self, domain):
        return GARBAGE if ("x509", domain) in self._garbled else self.authority(domain).x509_bundle()

    def _jwt_bundle(self, domain):
        return GARBAGE if ("jwt", domain) in self._garbled else self.authority(domain).jwt_bundle()

    # Commands that hold at once

    def set_tokens(self, flaw, ttl="300"):
        """The flaw and the lifetime in seconds of tokens from now on."""
        if flaw not in TOKENS:
            raise ValueError(f"there are {', '.join(TOKENS)}")
        self.tokens, self.token_ttl = flaw, int(ttl)

    def refuse(self, code, *methods):
        """Ends the open streams of the methods, or of all, with a status, and answers calls so."""
        methods = known(methods)
        status = grpc.StatusCode[code]
        with self.changed:
            self.refusals.update(dict.fromkeys(methods, status))
            self._end(methods)

    def hold(self, *methods):
        """Answers nothing to the methods, or to all, and sends nothing on their open streams."""
        with self.changed:
            self.held.update(known(methods))

    def answer(self, *methods):
        """Undoes `refuse` and `hold`."""
        with self.changed:
            for method in known(methods):
                self.refusals.pop(method, None)
                self.held.discard(method)
            self.changed.notify_all()

    def end(self, *methods):
        """Ends the open streams of the methods, or of all, as if all were said. Others may come."""
        with self.changed:
            self._end(known(methods))

    def _end(self, methods):
        ending = {stream for stream in self.streams if stream.method in methods}
        self.ending |= ending
        self.changed.notify_all()
        if not self.changed.wait_for(lambda: not ending & self.streams, PATIENCE):
            raise TimeoutError("a stream does not end")

    # What has been asked

    def calls(self):
        """All calls so far: the method, what the security header said, and the request."""
        with self.changed:
            return list(self._calls)

    def wait_for_calls(self, method, number):
        """Waits until a method has been called so often since the start."""
        [method] = known([method])
        with self.changed:
            if not self.changed.wait_for(lambda: self._count(method) >= int(number), PATIENCE):
                raise TimeoutError(f"there were {self._count(method)} calls of {method}")

    def _count(self, method):
        return sum(call["method"] == method for call in self._calls)

    def note(self, method, header, request):
        """Under the lock: counts a call."""
        message = json_format.MessageToDict(request, preserving_proto_field_name=True)
        self._calls.append({"method": method, "security_header": header, "request": message})
        self.changed.notify_all()

    def wake(self):
        with self.changed:
            self.changed.notify_all()


def known(methods):
    unknown = set(methods).difference(METHODS)
    if unknown:
        raise ValueError(f"there is no method {', '.join(unknown)}")
    return list(methods) or METHODS


def trust_domain_of(spiffe_id):
    return spiffe_id.removeprefix("spiffe://").partition("/")[0]


def id_of(trust_domain):
    return f"spiffe://{trust_domain}"
