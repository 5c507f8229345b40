"""Fetches the SVIDs of the workload at ENDPOINT, which has several, each an ID or an ID#HINT.

usage: several.py ENDPOINT SVID...
"""

import sys

import grpc
from spiffe import SpiffeId, WorkloadApiClient, X509Source
from spiffe._proto import workload_pb2, workload_pb2_grpc

endpoint, expected = sys.argv[1], [text.partition("#")[::2] for text in sys.argv[2:]]
ids = [SpiffeId(spiffe_id) for spiffe_id, _ in expected]
metadata = [("workload.spiffe.io", "true")]

with WorkloadApiClient(endpoint, default_timeout=30) as client:
    assert client.fetch_x509_context().default_svid.spiffe_id == ids[0]
    assert [svid.spiffe_id for svid in client.fetch_x509_svids()] == ids
    print("x509 svids")

    assert client.fetch_jwt_svid({"anybody"}).spiffe_id == ids[0]
    assert [svid.spiffe_id for svid in client.fetch_jwt_svids({"anybody"})] == ids
    for spiffe_id in ids:
        assert client.fetch_jwt_svid({"anybody"}, subject=spiffe_id).spiffe_id == spiffe_id
    print("jwt svids")

with X509Source(
    socket_path=endpoint, timeout_in_seconds=30, svid_picker=lambda svids: svids[-1]
) as source:
    assert source.get_x509_context().default_svid.spiffe_id == ids[-1]
    print("another than the first")

# The package reads hints, and does not pass them on.
with grpc.insecure_channel(endpoint) as channel:
    stub = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
    answer = next(iter(stub.FetchX509SVID(workload_pb2.X509SVIDRequest(), metadata=metadata, timeout=30)))
    assert [(svid.spiffe_id, svid.hint) for svid in answer.svids] == expected, answer.svids
    request = workload_pb2.JWTSVIDRequest(audience=["anybody"])
    answer = stub.FetchJWTSVID(request, metadata=metadata, timeout=30)
    assert [(svid.spiffe_id, svid.hint) for svid in answer.svids] == expected, answer.svids
    print("hints")
