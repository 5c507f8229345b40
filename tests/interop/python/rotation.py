"""Follows the SVID of the workload ID at ENDPOINT through a rotation of the SVID, of the bundle and of
the issuing authority. Says what it waits for; somebody else makes it happen.

usage: rotation.py ENDPOINT ID
"""

import sys
import threading

from spiffe import SpiffeId, X509Source

endpoint, expected = sys.argv[1], SpiffeId(sys.argv[2])
updated = threading.Condition()


def notify():
    with updated:
        updated.notify_all()


with X509Source(socket_path=endpoint, timeout_in_seconds=30) as source:
    source.subscribe_for_updates(notify)

    def authorities():
        return source.get_bundle_for_trust_domain(expected.trust_domain).x509_authorities

    def svid():
        svid = source.get_x509_context().default_svid
        assert svid.spiffe_id == expected, svid.spiffe_id
        return svid

    def is_issued_by(authorities):
        for authority in authorities:
            try:
                svid().cert_chain[-1].verify_directly_issued_by(authority)
                return True
            except Exception:  # the package cryptography has no common class for "not that one"
                continue
        return False

    def wait_for(what, seen):
        with updated:
            print(f"waiting for {what}")
            if not updated.wait_for(seen, timeout=30):
                sys.exit(f"did not see {what}")

    first = svid().leaf.serial_number
    wait_for("another svid", lambda: svid().leaf.serial_number != first)

    before = authorities()
    assert is_issued_by(before)
    wait_for("another bundle", lambda: authorities() > before)

    wait_for("another issuer", lambda: is_issued_by(authorities() - before) and not is_issued_by(before))
    print("done")
