//! What is an identity, and what is none (invariants 1 and 2).

use crate::controls::control::{Control, Edit, integration, of_crate, unit};

const WITH_PEER: &str = "crates/spiffe-acceptor/src/with_peer.rs";
const CORPUS: &str = "each_case_gets_its_verdict";
const CERTIFICATE: &str = "crates/spiffe-verify/src/x509/certificate.rs";

const NO_HEADER: &str = "invariant_1_no_header_becomes_identity";
const ONE_URI: &str = "invariant_2_a_leaf_without_exactly_one_uri_has_no_identity";

pub(super) const CONTROLS: [Control; 18] = [
    Control {
        name: "forwarded-headers",
        invariant: 1,
        without: "headers in which proxies forward identities reach the handler",
        edits: &[Edit {
            file: WITH_PEER,
            text: "    remove_forwarded_identity(request.headers_mut());",
            replacement: "    let _ = remove_forwarded_identity;",
        }],
        test: integration("invariants", NO_HEADER),
    },
    Control {
        name: "header-as-identity",
        invariant: 1,
        without: "the header `x-spiffe-id` says who the peer is",
        edits: &[
            Edit {
                file: WITH_PEER,
                text: "    remove_forwarded_identity(request.headers_mut());",
                replacement: r#"    let claimed = request.headers().get("x-spiffe-id");
    let claimed = claimed.and_then(|id| spiffe_peer::parse::workload_id(id.to_str().ok()?).ok());
    let claimed = claimed.zip(peer).map(|(spiffe_id, peer)| {
        let peer = spiffe_peer::VerifiedPeer {
            spiffe_id,
            not_after: peer.not_after(),
            fingerprint: peer.fingerprint(),
            method: peer.method(),
        };
        PeerIdentity::assume_verified(peer, spiffe_peer::Connection::new())
    });
    remove_forwarded_identity(request.headers_mut());"#,
            },
            Edit {
                file: WITH_PEER,
                text: "insert(peer.clone());",
                replacement: "insert(claimed.unwrap_or_else(|| peer.clone()));",
            },
        ],
        test: integration("invariants", NO_HEADER),
    },
    Control {
        name: "new-voucher",
        invariant: 1,
        without: "one more caller makes identities of what nobody has verified",
        edits: &[Edit {
            file: "crates/spiffe-tls/src/peers.rs",
            text: "pub(crate) fn system_time(",
            replacement: r"#[allow(dead_code)]
fn vouch(peer: spiffe_peer::VerifiedPeer) -> spiffe_peer::PeerIdentity {
    spiffe_peer::PeerIdentity::assume_verified(peer, spiffe_peer::Connection::new())
}

pub(crate) fn system_time(",
        }],
        test: integration(
            "invariants",
            "invariant_1_who_vouches_for_identities_is_known",
        ),
    },
    Control {
        name: "jwt-signature",
        invariant: 1,
        without: "a token is believed without its signature",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/jwt/key.rs",
            text: "        verified.map_err(|_| JwtFault::Signature)",
            replacement: "        let _ = verified;\n        Ok(())",
        }],
        test: unit(
            "spiffe-verify",
            "jwt::tests::keys::conformance_46_what_was_signed_is_what_is_read",
        ),
    },
    Control {
        name: "several-uris",
        invariant: 2,
        without: "the first of several URIs is the identity",
        edits: &[Edit {
            file: CERTIFICATE,
            text: r"            [_, _, ..] => Err(X509Error::new(X509Fault::SeveralUris)),
            [uri] =>",
            replacement: "            [uri, ..] =>",
        }],
        test: integration("invariants", ONE_URI),
    },
    Control {
        name: "uris-of-other-schemes",
        invariant: 2,
        without: "URIs that are no SPIFFE IDs do not count",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "uris.extend(general_name::uri(list)?);",
            replacement: r#"let uri = general_name::uri(list)?;
                uris.extend(uri.filter(|uri| uri.starts_with("spiffe://")));"#,
        }],
        test: integration("invariants", ONE_URI),
    },
    Control {
        name: "dns-name-as-identity",
        invariant: 2,
        without: "where there is no URI a DNS name is the identity",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "            [] => Err(X509Error::new(X509Fault::NoSpiffeId)),",
            replacement: r#"            [] => fields::all(value, |value| value.list(|names| {
                let mut dns = None;
                while !names.are_read() {
                    let name = names.any()?;
                    if der::Tagged::tag(&name).octet() == 0x82 {
                        dns = dns.or(std::str::from_utf8(name.value()).ok());
                    }
                }
                Ok(dns)
            }))
            .ok()
            .flatten()
            .and_then(|name| name.split_once('.'))
            .and_then(|(name, domain)| {
                parse::workload_id(&format!("spiffe://{domain}/service/{name}")).ok()
            })
            .ok_or_else(|| X509Error::new(X509Fault::NoSpiffeId)),"#,
        }],
        test: integration("invariants", ONE_URI),
    },
    Control {
        name: "upper-case-trust-domain",
        invariant: 2,
        without: "an ID in upper case is read as one in lower case",
        edits: &[Edit {
            file: "crates/spiffe-peer/src/parse.rs",
            text: "    if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {",
            replacement: "    if false {",
        }],
        test: integration("invariants", ONE_URI),
    },
    Control {
        name: "leaf-key-usage",
        invariant: 2,
        without: "a leaf may have any key usage, that of an authority too",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "        if fits {",
            replacement: "        if fits || !fits {",
        }],
        test: of_crate("corpus", "verifier", CORPUS),
    },
    Control {
        name: "leaf-without-basic-constraints",
        invariant: 2,
        without: "a leaf need not say that it is no authority",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "            return Err(X509Error::new(X509Fault::LeafIsAuthority));",
            replacement: "            let _ = X509Fault::LeafIsAuthority;",
        }],
        test: of_crate("corpus", "verifier", CORPUS),
    },
    Control {
        name: "extension-twice",
        invariant: 2,
        without: "an extension may stand twice",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "            if ids.contains(&id) {",
            replacement: "            if ids.contains(&id) && false {",
        }],
        test: of_crate("corpus", "verifier", CORPUS),
    },
    Control {
        name: "extension-in-two-spellings",
        invariant: 2,
        without: "an extension may stand twice if its OID is written in two ways",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/x509/fields.rs",
            text: "        if begins && *byte == 0x80 {",
            replacement: "        if begins && *byte == 0x80 && false {",
        }],
        test: of_crate("corpus", "verifier", CORPUS),
    },
    Control {
        name: "negative-serial",
        invariant: 5,
        without: "two certificates of one issuer have one serial number for a deny-list: -1 and 255",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "        if is_negative {",
            replacement: "        if is_negative && false {",
        }],
        test: of_crate("corpus", "verifier", CORPUS),
    },
    Control {
        name: "issuer-key-usage",
        invariant: 3,
        without: "an issuer need not be allowed to sign certificates",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "self.is_ca == Some(true) && self.may(KEY_CERT_SIGN)",
            replacement: "self.is_ca == Some(true)",
        }],
        test: of_crate("corpus", "verifier", CORPUS),
    },
    Control {
        name: "several-uris-in-handshakes",
        invariant: 2,
        without: "of several URIs the first is the identity: over real handshakes, at both ends",
        edits: &[Edit {
            file: CERTIFICATE,
            text: "            [_, _, ..] => Err(X509Error::new(X509Fault::SeveralUris)),",
            replacement: r"            [uri, _, ..] => parse::workload_id(uri)
                .map_err(|error| X509Error::with_detail(X509Fault::BadSpiffeId, error)),",
        }],
        test: of_crate(
            "corpus",
            "handshakes",
            "no_bad_svid_is_accepted_and_no_good_one_refused",
        ),
    },
    Control {
        name: "identity-of-nobody",
        invariant: 1,
        without: "an identity that somebody else put into a request stays where there is none",
        edits: &[Edit {
            file: WITH_PEER,
            text: "        request.extensions_mut().remove::<PeerIdentity>();\n",
            replacement: "",
        }],
        test: integration("plugs", "without_an_identity_nobody_s_is_used"),
    },
    Control {
        name: "disguised-headers",
        invariant: 1,
        without: "an identity header in which `_` stands for `-` reaches the handler",
        edits: &[Edit {
            file: WITH_PEER,
            text: " || (*written, meant) == (b'_', b'-')",
            replacement: "",
        }],
        test: integration(
            "plugs",
            "threats_57_no_spelling_of_an_identity_header_passes",
        ),
    },
    Control {
        name: "foreign-connection-under-tonic",
        invariant: 1,
        without: "tonic serves connections that the acceptor has never seen",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/tonic.rs",
            text: "            return ResponseFuture::refused(unauthenticated(request.headers()));",
            replacement: "            return ResponseFuture::passed(self.inner.call(request));",
        }],
        test: integration(
            "plugs",
            "tonics_server_refuses_what_did_not_come_through_the_acceptor",
        ),
    },
];
