"""Watches the SVIDs and bundles of the workload ID at ENDPOINT while its entry goes and comes back.
Says what it waits for; somebody else makes it happen.

usage: withdrawal.py ENDPOINT ID
"""

import queue
import sys

from spiffe import SpiffeId, WorkloadApiClient
from spiffe.errors import PySpiffeError

endpoint, expected = sys.argv[1], SpiffeId(sys.argv[2])


class Watch:
    """What a stream of the client brings, one after another: an update, or the error that ends it."""

    def __init__(self, stream, retry):
        self._seen = queue.SimpleQueue()
        stream(self._seen.put, self._seen.put, retry_connect=retry)

    def next(self):
        return self._seen.get(timeout=30)


def must_be_denied(error):
    assert isinstance(error, PySpiffeError) and "PERMISSION_DENIED" in str(error), repr(error)


with WorkloadApiClient(endpoint, default_timeout=30) as client:
    streams = [client.stream_x509_contexts, client.stream_jwt_bundles]
    ending = [Watch(stream, retry=False) for stream in streams]
    retrying = [Watch(stream, retry=True) for stream in streams]
    first = ending[0].next().default_svid
    assert first.spiffe_id == expected
    assert ending[1].next().get_bundle_for_trust_domain(expected.trust_domain)
    for watch in retrying:
        watch.next()

    print("waiting for the withdrawal")
    for watch in ending:
        must_be_denied(watch.next())
    for ask in [
        client.fetch_x509_svid,
        client.fetch_x509_bundles,
        lambda: client.fetch_jwt_svid({"anybody"}),
        client.fetch_jwt_bundles,
        lambda: client.validate_jwt_svid("a.b.c", "anybody"),
    ]:
        try:
            answer = ask()
        except PySpiffeError as error:
            must_be_denied(error)
        else:
            sys.exit(f"{answer} was given")

    print("waiting for the return")
    # The package goes on asking by itself, and tells nothing of the refusals in between.
    again = retrying[0].next().default_svid
    assert again.spiffe_id == expected
    assert again.leaf.serial_number != first.leaf.serial_number, "what was withdrawn has come back"
    assert retrying[1].next().get_bundle_for_trust_domain(expected.trust_domain)
    assert client.fetch_x509_svid().leaf == again.leaf
    assert client.fetch_jwt_svid({"anybody"}).spiffe_id == expected
    print("done")
