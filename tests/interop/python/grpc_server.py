"""Serves test.Whoami on a loopback port with SVID files, to whoever has an SVID of that bundle.

It tells callers what gRPC takes for their SPIFFE ID, and writes a line for each call.

usage: grpc_server.py BUNDLE SVID KEY
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf.wrappers_pb2 import StringValue

bundle, svid, key = [Path(file).read_bytes() for file in sys.argv[1:]]


def peer(context):
    return b"".join(context.auth_context()["peer_spiffe_id"]).decode()


def once(request, context):
    print("call of Once", flush=True)
    return StringValue(value=peer(context))


def forever(request, context):
    print("call of Forever", flush=True)
    for count in range(3):
        yield StringValue(value=f"{count} {peer(context)}")


coding = {"request_deserializer": StringValue.FromString, "response_serializer": StringValue.SerializeToString}
methods = {
    "Once": grpc.unary_unary_rpc_method_handler(once, **coding),
    "Forever": grpc.unary_stream_rpc_method_handler(forever, **coding),
}
server = grpc.server(ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Whoami", methods)])
port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, svid)], bundle, True))
server.start()
print("listening on", port, flush=True)
server.wait_for_termination()
