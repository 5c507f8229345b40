"""The authority of a trust domain, made with the package cryptography alone."""

import datetime
import json
import os
from dataclasses import dataclass

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA-2048": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}

LIFETIME = datetime.timedelta(hours=1)
TOKENS = ["sound", "other-key", "other-audience", "other-subject", "expired"]


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def pkcs8(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Svid:
    spiffe_id: str
    serial: str
    chain: bytes
    key: bytes
    hint: str


@dataclass
class Issuer:
    """A root and what it has issued to issue from."""

    root: x509.Certificate
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """Issues through an intermediate. The newest issuer issues, the roots of all are in the bundle."""

    def __init__(self, trust_domain):
        self.trust_domain = trust_domain
        self.issuers = []
        self.jwt_keys = {}
        self.rotate()

    def rotate(self):
        """Adds another root, and another key for tokens."""
        root_key, key = KEYS["P-256"](), KEYS["P-256"]()
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{self.trust_domain} {os.urandom(4).hex()}")])
        issuing = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "an intermediate")])
        root = self._certificate(name, root_key, f"spiffe://{self.trust_domain}", name, root_key, authority=True)
        intermediate = self._certificate(
            issuing, key, f"spiffe://{self.trust_domain}", name, root_key, authority=True
        )
        self.issuers.append(Issuer(root, intermediate, key))
        self.jwt_keys[os.urandom(8).hex()] = KEYS["P-256"]()

    def retire(self):
        """Takes all but the newest out of the bundles."""
        del self.issuers[:-1]
        for old in list(self.jwt_keys)[:-1]:
            del self.jwt_keys[old]

    def roots(self):
        return [der(issuer.root) for issuer in self.issuers]

    def x509_bundle(self):
        return b"".join(self.roots())

    def jwt_bundle(self):
        keys = [
            {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "jwt-svid"}
            for kid, key in self.jwt_keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def issue(self, spiffe_id, kind, hint=""):
        issuer, key = self.issuers[-1], KEYS[kind]()
        leaf = self._certificate(
            x509.Name([]), key, spiffe_id, issuer.certificate.subject, issuer.key, authority=False
        )
        serial = f"{leaf.serial_number:x}"
        return Svid(spiffe_id, serial, der(leaf) + der(issuer.certificate), pkcs8(key), hint)

    def issue_token(self, spiffe_id, audience, ttl, flaw):
        """A JWT-SVID with one of the flaws in TOKENS; `sound` is none."""
        kid, key = list(self.jwt_keys.items())[-1]
        if flaw == "other-key":
            key = KEYS["P-256"]()
        now = datetime.datetime.now(datetime.timezone.utc)
        issued_at = now - datetime.timedelta(hours=2) if flaw == "expired" else now
        claims = {
            "sub": f"{spiffe_id}/another" if flaw == "other-subject" else spiffe_id,
            "aud": ["somebody else"] if flaw == "other-audience" else list(audience),
            "iat": issued_at,
            "exp": issued_at + datetime.timedelta(seconds=ttl),
        }
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid, "typ": "JWT"})

    @staticmethod
    def _certificate(subject, key, uri, issuer, issuer_key, authority):
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = dict.fromkeys(
            ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"],
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            # Always as many digits, and never a byte more for the sign.
            .serial_number(int.from_bytes(b"\x50" + os.urandom(15), "big"))
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + LIFETIME)
            # A certificate without a subject names itself in this extension alone.
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=not authority
            )
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if not authority:
            purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())
