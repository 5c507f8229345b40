"""Calls the Workload API at ENDPOINT with and without the security header.

usage: no_header.py ENDPOINT
"""

import sys

import grpc
from spiffe._proto import workload_pb2, workload_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
    for header in [None, "True", "true"]:
        metadata = [] if header is None else [("workload.spiffe.io", header)]
        try:
            next(iter(stub.FetchX509SVID(workload_pb2.X509SVIDRequest(), metadata=metadata, timeout=30)))
            outcome = "OK"
        except grpc.RpcError as error:
            outcome = error.code().name
        print(f"{header or 'absent'}: {outcome}")
