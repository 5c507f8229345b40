"""Has tokens of the workload ID at ENDPOINT validated by the agent, sound ones and others.

usage: validation.py ENDPOINT ID
"""

import base64
import json
import sys

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from spiffe import WorkloadApiClient
from spiffe._proto import workload_pb2, workload_pb2_grpc
from spiffe.workloadapi.errors import ValidateJwtSvidError

endpoint, expected = sys.argv[1:3]
audience = "spiffe://example.org/service/greeter"
metadata = [("workload.spiffe.io", "true")]


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


with WorkloadApiClient(endpoint, default_timeout=30) as client:
    token = client.fetch_jwt_svid({audience, "another audience"}).token
    for own in [audience, "another audience"]:
        assert str(client.validate_jwt_svid(token, own).spiffe_id) == expected
    print("sound: accepted")

    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    stranger = ec.generate_private_key(ec.SECP256R1())
    parts = token.split(".")

    def signed(claims=claims, **changed):
        """By somebody else, in the name of the agent's key."""
        return jwt.encode(claims, stranger, algorithm="ES256", headers=header | changed)

    for what, other in [
        ("no token", "a.b.c"),
        ("other claims", f"{parts[0]}.{encoded(claims | {'sub': expected + '/another'})}.{parts[2]}"),
        ("another key", signed()),
        ("an unknown key", signed(kid="unknown")),
        ("no signature", jwt.encode(claims, None, algorithm="none", headers={"kid": header["kid"]})),
        ("another trust domain", signed(claims | {"sub": "spiffe://other.test/service/caller"})),
    ]:
        try:
            client.validate_jwt_svid(other, audience)
        except ValidateJwtSvidError as refusal:
            # From the agent, not from what the package looks at itself.
            assert "INVALID_ARGUMENT" in str(refusal), refusal
            print(f"{what}: refused")
        else:
            sys.exit(f"{what}: accepted")

# The package leaves out what the agent says of a valid token.
with grpc.insecure_channel(endpoint) as channel:
    stub = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
    request = workload_pb2.ValidateJWTSVIDRequest(audience=audience, svid=token)
    answer = stub.ValidateJWTSVID(request, metadata=metadata, timeout=30)
    assert answer.spiffe_id == expected, answer
    assert json_format.MessageToDict(answer.claims) == claims, answer
    print("claims")
