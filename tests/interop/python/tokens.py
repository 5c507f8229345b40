"""Fetches a token of the workload ID at ENDPOINT for each line on the standard input, and says how the
package finds it by itself and how the agent finds it.

usage: tokens.py ENDPOINT ID
"""

import sys

from spiffe import SpiffeId, WorkloadApiClient
from spiffe.errors import PySpiffeError

endpoint, expected = sys.argv[1], SpiffeId(sys.argv[2])
audience = "spiffe://example.org/service/greeter"


def verdict(judge):
    try:
        spiffe_id = judge().spiffe_id
    except PySpiffeError as refusal:
        return type(refusal).__name__
    return "accepted" if spiffe_id == expected else "another ID"


with WorkloadApiClient(endpoint, default_timeout=30) as client:
    for _ in sys.stdin:
        try:
            token = client.fetch_jwt_svid({audience}, subject=expected)
        except PySpiffeError as refusal:
            # Without a look at the signature.
            print(f"{refusal}")
            continue
        by_itself = verdict(
            lambda: type(token).parse_and_validate(
                token.token,
                client.fetch_jwt_bundles().get_bundle_for_trust_domain(expected.trust_domain),
                {audience},
            )
        )
        by_the_agent = verdict(lambda: client.validate_jwt_svid(token.token, audience))
        print(f"{by_itself}, {by_the_agent}")
