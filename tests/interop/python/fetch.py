"""Fetches everything that the Workload API at ENDPOINT gives to the workload ID, and checks it.

usage: fetch.py ENDPOINT ID
"""

import sys

from spiffe import SpiffeId, WorkloadApiClient

endpoint, expected = sys.argv[1], SpiffeId(sys.argv[2])
audience = "spiffe://example.org/service/greeter"


def issued_by(certificate, authorities):
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
            return True
        except Exception:  # the package cryptography has no common class for "not that one"
            continue
    return False


with WorkloadApiClient(endpoint, default_timeout=30) as client:
    context = client.fetch_x509_context()
    svid = context.default_svid
    assert svid.spiffe_id == expected, svid.spiffe_id
    authorities = context.x509_bundle_set.get_bundle_for_trust_domain(expected.trust_domain).x509_authorities
    assert issued_by(svid.leaf, [*svid.cert_chain[1:], *authorities])
    assert issued_by(svid.cert_chain[-1], authorities)
    assert svid.private_key.public_key() == svid.leaf.public_key()
    print("x509 svid")

    bundles = client.fetch_x509_bundles()
    assert bundles.get_bundle_for_trust_domain(expected.trust_domain).x509_authorities == authorities
    assert len(bundles.bundles) == 1, "no other trust domain is federated"
    print("x509 bundles")

    token = client.fetch_jwt_svid({audience})
    assert token.spiffe_id == expected, token.spiffe_id
    print("jwt svid")

    bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(expected.trust_domain)
    # The package's own validation, with the devkit's key.
    assert type(token).parse_and_validate(token.token, bundle, {audience}).spiffe_id == expected
    print("jwt bundles")

    assert client.validate_jwt_svid(token.token, audience).spiffe_id == expected
    try:
        client.validate_jwt_svid(token.token, "another audience")
    except Exception as refusal:
        assert "INVALID_ARGUMENT" in str(refusal), refusal
    else:
        sys.exit("a token for another audience was accepted")
    print("jwt validation")
