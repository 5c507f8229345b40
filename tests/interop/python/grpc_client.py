"""Calls the service test.Whoami on a loopback port with SVID files, and writes how it went.

NAME is the DNS name that the SVID of the server has to have.

usage: grpc_client.py PORT NAME BUNDLE [SVID KEY]
"""

import sys
from pathlib import Path

import grpc
from google.protobuf.wrappers_pb2 import StringValue

PATIENCE = 30

port, name, bundle, *own = sys.argv[1:]
svid, key = [Path(file).read_bytes() for file in own] or [None, None]
credentials = grpc.ssl_channel_credentials(Path(bundle).read_bytes(), key, svid)
target = f"127.0.0.1:{port}"
options = [("grpc.ssl_target_name_override", name), ("grpc.enable_http_proxy", 0)]


def say(call):
    try:
        print(call())
    except grpc.RpcError as error:
        print(error.code().name, error.details())


with grpc.secure_channel(target, credentials, options) as channel:
    coding = {"request_serializer": StringValue.SerializeToString, "response_deserializer": StringValue.FromString}
    once = channel.unary_unary("/test.Whoami/Once", **coding)
    forever = channel.unary_stream("/test.Whoami/Forever", **coding)

    def first_answers():
        answers = forever(StringValue(), timeout=PATIENCE)
        heard = [next(answers).value for _ in range(3)]
        answers.cancel()
        return f"{len(heard)} times {heard[-1]}"

    say(lambda: once(StringValue(), timeout=PATIENCE).value)
    say(first_answers)
