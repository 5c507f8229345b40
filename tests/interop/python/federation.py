"""Follows what the workload at ENDPOINT, of example.org, is given of the trust domain of the workload
at FOREIGN: nothing, then its bundles, then nothing. Says what it waits for; somebody else makes it
happen.

usage: federation.py ENDPOINT FOREIGN
"""

import sys
import threading

from spiffe import JwtSource, JwtSvid, TrustDomain, WorkloadApiClient, X509Source
from spiffe.errors import PySpiffeError

endpoint, foreign_endpoint = sys.argv[1:3]
audience = "spiffe://example.org/service/caller"
updated = threading.Condition()


def notify():
    with updated:
        updated.notify_all()


def is_issued_by(svid, bundle):
    for authority in bundle.x509_authorities:
        try:
            svid.cert_chain[-1].verify_directly_issued_by(authority)
            return True
        except Exception:  # the package cryptography has no common class for "not that one"
            continue
    return False


def must_be_refused(what, ask):
    try:
        ask()
    except PySpiffeError:
        return
    sys.exit(f"{what} was accepted")


with (
    WorkloadApiClient(endpoint, default_timeout=30) as client,
    WorkloadApiClient(foreign_endpoint, default_timeout=30) as foreigner,
    X509Source(client, timeout_in_seconds=30) as x509_source,
    JwtSource(client, timeout_in_seconds=30) as jwt_source,
):
    x509_source.subscribe_for_updates(notify)
    jwt_source.subscribe_for_updates(notify)
    svid = foreigner.fetch_x509_svid()
    own, foreign = TrustDomain("example.org"), svid.spiffe_id.trust_domain
    token = foreigner.fetch_jwt_svid({audience})

    def has(trust_domain):
        return [
            source.get_bundle_for_trust_domain(trust_domain) is not None for source in (x509_source, jwt_source)
        ]

    def wait_for(what, seen):
        with updated:
            print(f"waiting for {what}")
            if not updated.wait_for(seen, timeout=30):
                sys.exit(f"did not see {what}")

    def must_be_unknown():
        assert has(own) == [True, True] and has(foreign) == [False, False]
        assert len(client.fetch_x509_bundles().bundles) == len(client.fetch_jwt_bundles().bundles) == 1
        must_be_refused("a token of a stranger", lambda: client.validate_jwt_svid(token.token, audience))

    must_be_unknown()
    wait_for("federation", lambda: has(foreign) == [True, True])

    for bundles in (
        client.fetch_x509_context().x509_bundle_set,
        client.fetch_x509_bundles(),
        x509_source.get_x509_context().x509_bundle_set,
    ):
        assert {bundle.trust_domain for bundle in bundles.bundles} == {own, foreign}
        assert is_issued_by(svid, bundles.get_bundle_for_trust_domain(foreign))
        assert not is_issued_by(svid, bundles.get_bundle_for_trust_domain(own))
        assert is_issued_by(client.fetch_x509_svid(), bundles.get_bundle_for_trust_domain(own))
    own_to_it = foreigner.fetch_x509_bundles()
    assert own_to_it.get_bundle_for_trust_domain(foreign) == bundles.get_bundle_for_trust_domain(foreign)
    assert len(own_to_it.bundles) == 1, "federation has one direction"
    print("x509 bundles")

    bundles = client.fetch_jwt_bundles()
    assert {bundle.trust_domain for bundle in bundles.bundles} == {own, foreign}
    bundle = bundles.get_bundle_for_trust_domain(foreign)
    # The package's own validation, with what the devkit gives.
    assert JwtSvid.parse_and_validate(token.token, bundle, {audience}).spiffe_id == token.spiffe_id
    for what, bundle, expected in [
        ("a token for another audience", bundle, {"another audience"}),
        ("a token of another trust domain", bundles.get_bundle_for_trust_domain(own), {audience}),
    ]:
        must_be_refused(what, lambda: JwtSvid.parse_and_validate(token.token, bundle, expected))
    print("jwt bundles")

    assert client.validate_jwt_svid(token.token, audience).spiffe_id == token.spiffe_id
    must_be_refused("a token for another audience", lambda: client.validate_jwt_svid(token.token, "another audience"))
    print("jwt validation")

    wait_for("the end of federation", lambda: has(foreign) == [False, False])
    must_be_unknown()
    print("done")
