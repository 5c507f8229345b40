"""Asks the Workload API at ENDPOINT for everything, and is refused each time.

usage: refused.py ENDPOINT
"""

import sys

from spiffe import WorkloadApiClient
from spiffe.workloadapi.errors import WorkloadApiError

with WorkloadApiClient(sys.argv[1], default_timeout=30) as client:
    for what, ask in [
        ("x509 svid", client.fetch_x509_svid),
        ("x509 bundles", client.fetch_x509_bundles),
        ("jwt svid", lambda: client.fetch_jwt_svid({"anybody"})),
        ("jwt bundles", client.fetch_jwt_bundles),
    ]:
        try:
            ask()
        except WorkloadApiError as refusal:
            assert "PERMISSION_DENIED" in str(refusal), refusal
            print(f"{what} refused")
        else:
            sys.exit(f"{what} was given")
