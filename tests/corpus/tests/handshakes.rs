//! The corpus over real handshakes, at both ends: an acceptor and clients that show bad chains, and
//! a client of ours and servers that do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use corpus::case::{Bundles, Case, Presented, Role, Verdict};
use corpus::key::KeyKind;
use corpus::{cases, present, world};
use spiffe_acceptor::Acceptor;
use spiffe_peer::parse;
use spiffe_source::{Material, Source, SvidMaterial};
use spiffe_tls::rustls::pki_types::ServerName;
use spiffe_tls::{ClientTls, ExpectedServer, refused_with};
use spiffe_verify::X509Error;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What TLS itself refuses before any verifier sees it: a message of more than 64 KiB.
const TOO_LARGE_FOR_TLS: &str = "chain::leaf-of-64-kib";

/// How many handshakes are under way at once.
const AT_ONCE: usize = 8;

/// What came of a handshake.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Accepted(String),
    Refused(&'static str),
}

fn right(case: &Case) -> Outcome {
    match &case.verdict {
        Verdict::Accepted(id) => Outcome::Accepted(id.clone()),
        Verdict::Refused(_) if case.class == TOO_LARGE_FOR_TLS => Outcome::Refused("tls"),
        Verdict::Refused(fault) => Outcome::Refused(fault.as_str()),
        Verdict::HandshakeFails => Outcome::Refused("tls"),
    }
}

/// Our end of the connections, with its own SVID and the bundles of a case.
struct Ours {
    bundles: Bundles,
    acceptor: Acceptor,
    source: Source,
    clients: tokio::sync::Mutex<HashMap<String, ClientTls>>,
}

impl Ours {
    /// Its own domain is that of the bundles where there is an SVID of it, and a third one elsewhere.
    async fn new(bundles: &Bundles, own: Option<&Presented>, bystander: &Presented) -> Arc<Self> {
        let mut domains: Vec<_> = bundles.keys().cloned().collect();
        let svid = match own {
            Some(own) => {
                domains.retain(|domain| domain != corpus::world::DOMAIN);
                let bundle = bundles[corpus::world::DOMAIN].concat();
                SvidMaterial::from_der(own.chain.concat(), own.key.pkcs8(), bundle)
            }
            None => SvidMaterial::from_der(
                bystander.chain.concat(),
                bystander.key.pkcs8(),
                bystander.bundles["verifier.test"].concat(),
            ),
        };
        let mut material = Material::new(svid);
        for domain in &domains {
            let domain = parse::trust_domain(domain).unwrap();
            material = material.foreign_bundle(&domain, bundles[domain.as_str()].concat());
        }
        let mut builder = Source::fixed(material);
        for domain in domains {
            builder = builder.trust(domain);
        }
        let source = builder.connect().await.unwrap();
        Arc::new(Self {
            bundles: bundles.clone(),
            acceptor: Acceptor::builder(source.clone()).build().unwrap(),
            source,
            clients: tokio::sync::Mutex::default(),
        })
    }

    async fn meets(&self, case: &Case) -> Outcome {
        match case.role {
            Role::Client => self.accepts(&case.presented).await,
            Role::Server => {
                let expected = match &case.verdict {
                    Verdict::Accepted(id) => {
                        parse::workload_id(id).unwrap().trust_domain().to_string()
                    }
                    Verdict::Refused(_) | Verdict::HandshakeFails => "example.org".to_owned(),
                };
                self.connects(&case.presented, expected).await
            }
        }
    }

    async fn accepts(&self, presented: &Presented) -> Outcome {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connector = TlsConnector::from(present::client(presented));
        let name = ServerName::try_from("localhost").unwrap();
        let client = async {
            if let Ok(mut tls) = connector.connect(name, near).await {
                // Until the server has said what it thinks of the certificate.
                let _ = tokio::io::AsyncReadExt::read(&mut tls, &mut [0]).await;
            }
        };
        let server = async {
            match self.acceptor.accept(far).await {
                Ok(stream) => {
                    let peer = stream.peer().expect("nobody comes without a certificate");
                    Outcome::Accepted(peer.spiffe_id().to_string())
                }
                Err(error) => Outcome::Refused(error.reason()),
            }
        };
        tokio::join!(client, server).1
    }

    async fn connects(&self, presented: &Presented, domain: String) -> Outcome {
        let tls = self
            .clients
            .lock()
            .await
            .entry(domain)
            .or_insert_with_key(|domain| {
                let expected = ExpectedServer::member_of(domain).unwrap();
                ClientTls::new(self.source.clone(), expected).unwrap()
            })
            .clone();
        let revision = tls.current().unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let acceptor = TlsAcceptor::from(present::server(presented));
        let connector = TlsConnector::from(revision.config().clone());
        let name = ServerName::try_from("localhost").unwrap();
        let (client, _) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        match client {
            Ok(tls) => {
                let chain = tls.get_ref().1.peer_certificates();
                let verified = revision.identify(chain, SystemTime::now()).unwrap();
                Outcome::Accepted(verified.spiffe_id().to_string())
            }
            Err(error) => match refused_with::<X509Error>(&error) {
                Some(error) => Outcome::Refused(error.fault().as_str()),
                None => Outcome::Refused("tls"),
            },
        }
    }
}

/// What the test prints.
#[derive(Default)]
struct Figures {
    handshakes: BTreeMap<(Role, bool), usize>,
    classes: BTreeMap<(Role, bool), BTreeSet<String>>,
    labels: BTreeMap<&'static str, BTreeSet<String>>,
    wrong: Vec<String>,
    bad_accepted: usize,
    good_refused: usize,
}

impl Figures {
    fn take(&mut self, case: Case, outcome: &Outcome) {
        let bad = case.verdict.is_bad();
        *self.handshakes.entry((case.role, bad)).or_default() += 1;
        match outcome {
            Outcome::Accepted(_) if bad => self.bad_accepted += 1,
            Outcome::Refused(_) if !bad => self.good_refused += 1,
            Outcome::Refused(label) => {
                self.labels
                    .entry(label)
                    .or_default()
                    .insert(case.class.clone());
            }
            Outcome::Accepted(_) => {}
        }
        let right = right(&case);
        if *outcome != right {
            self.wrong
                .push(format!("{}: {outcome:?}; right is {right:?}", case.id()));
        }
        self.classes
            .entry((case.role, bad))
            .or_default()
            .insert(case.class);
    }

    fn total(&self, bad: bool) -> usize {
        let of_kind = self.handshakes.iter().filter(|((_, of), _)| *of == bad);
        of_kind.map(|(_, count)| count).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bad_svid_is_accepted_and_no_good_one_refused() {
    let now = SystemTime::now();
    let cases = cases::all(now);
    let bystander = world::bystander(now);
    let plain = cases.iter().filter(|case| case.class == "good::plain");
    let own: Vec<_> = plain.map(|case| case.presented.clone()).collect();
    assert!(!own.is_empty());

    let mut ends: Vec<Arc<Ours>> = Vec::new();
    let mut running = JoinSet::new();
    let mut figures = Figures::default();
    // Who comes again meets an end that knows issuers, chains and sessions.
    let again = cases.iter().filter(|case| case.kind == KeyKind::P256);
    let again: Vec<_> = again.cloned().collect();
    for case in cases.into_iter().chain(again) {
        let bundles = &case.presented.bundles;
        let known = ends.iter().rev().find(|ours| ours.bundles == *bundles);
        let ours = match known {
            Some(ours) => ours.clone(),
            None => {
                let own = own.iter().find(|own| own.bundles == *bundles);
                let ours = Ours::new(bundles, own, &bystander).await;
                ends.push(ours.clone());
                ours
            }
        };
        if running.len() >= AT_ONCE {
            let (case, outcome) = running.join_next().await.unwrap().unwrap();
            figures.take(case, &outcome);
        }
        running.spawn(async move {
            let outcome = ours.meets(&case).await;
            (case, outcome)
        });
    }
    while let Some(finished) = running.join_next().await {
        let (case, outcome) = finished.unwrap();
        figures.take(case, &outcome);
    }

    for ((role, bad), classes) in &figures.classes {
        let (role_name, kind) = (role.name(), if *bad { "bad" } else { "good" });
        let handshakes = figures.handshakes[&(*role, *bad)];
        println!(
            "shown by a {role_name}: {} {kind} classes, {handshakes} handshakes",
            classes.len()
        );
    }
    for (label, classes) in &figures.labels {
        let classes: Vec<_> = classes.iter().map(String::as_str).collect();
        println!("{label}: {}", classes.join(" "));
    }
    println!(
        "{} bad, {} accepted; {} good, {} refused",
        figures.total(true),
        figures.bad_accepted,
        figures.total(false),
        figures.good_refused
    );
    assert_eq!(
        (figures.bad_accepted, figures.good_refused),
        (0, 0),
        "{}",
        figures.wrong.join("\n")
    );
    assert!(figures.wrong.is_empty(), "{}", figures.wrong.join("\n"));
    for role in Role::ALL {
        assert!(figures.classes[&(role, true)].len() >= 150);
        assert!(figures.classes[&(role, false)].len() >= 30);
    }
}
