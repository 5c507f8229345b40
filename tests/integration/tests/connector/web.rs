use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body_util::Empty;
use integration::{ALLOWED, agent, source};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::RootCertStore;
use spiffe_connector::{Connector, Failure, HttpClient, PeerIdentity, WebConnector};
use spiffe_devkit::Agent;
use spiffe_source::Source;
use spiffe_tls::{ServerTls, WebCertificate};

use crate::place::{BOTH, Place, eventually, server, text};

/// An authority of the web.
struct Web {
    root: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Web {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self {
            root: root.self_signed(&key).unwrap(),
            issuer: Issuer::new(root, key),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        roots
    }

    /// A server with a certificate for a name, which demands an SVID of its clients.
    async fn serves(&self, agent: &Agent, name: &str, alpn: &'static str) -> Place {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap();
        let source = source(agent, "server", &[]).await;
        let certificate = WebCertificate::from_pem(
            leaf.pem().as_bytes(),
            key.serialize_pem().as_bytes(),
            source.provider(),
        )
        .unwrap();
        let tls = ServerTls::builder(source).certificate(Arc::new(certificate));
        Place::over(tls.build().unwrap(), alpn, |_, number, _| {
            Box::pin(async move { Response::new(Body::from(number.to_string())) })
        })
        .await
    }
}

fn client(connector: &WebConnector) -> HttpClient<Empty<Bytes>, WebConnector> {
    connector.http_client()
}

async fn caller(agent: &Agent, web: &Web) -> (Source, WebConnector) {
    let source = source(agent, "allowed", &[]).await;
    let connector = Connector::web_with_roots(source.clone(), web.roots()).unwrap();
    (source, connector)
}

#[tokio::test]
async fn a_server_of_the_web_is_known_by_its_name_and_is_nobody_in_spiffe() {
    let agent = agent().start().await.unwrap();
    let web = Web::new();
    let (source, connector) = caller(&agent, &web).await;
    assert_eq!(
        source.snapshot().svid().unwrap().spiffe_id().to_string(),
        ALLOWED
    );
    for alpn in BOTH {
        // It takes nobody without an SVID, so that an answer shows that ours was presented.
        let place = web.serves(&agent, "127.0.0.1", alpn).await;
        let response = client(&connector).get(place.uri("/")).await.unwrap();
        assert!(response.extensions().get::<PeerIdentity>().is_none());
        assert_eq!(text(async { Ok(response) }).await.unwrap(), "0", "{alpn}");
    }

    let elsewhere = web.serves(&agent, "elsewhere.test", "h2").await;
    let error = client(&connector)
        .get(elsewhere.uri("/"))
        .await
        .unwrap_err();
    assert!(Failure::of(&error).is_refused_by_client(), "{error}");
    let place = web.serves(&agent, "127.0.0.1", "h2").await;
    let stranger = Connector::web_with_roots(source.clone(), Web::new().roots()).unwrap();
    let error = client(&stranger).get(place.uri("/")).await.unwrap_err();
    assert!(Failure::of(&error).is_refused_by_client(), "{error}");
    let mozilla = Connector::web(source).unwrap();
    let error = client(&mozilla).get(place.uri("/")).await.unwrap_err();
    assert!(Failure::of(&error).is_refused_by_client(), "{error}");
    let svid = server(&agent, "h2").await;
    let error = client(&connector).get(svid.uri("/")).await.unwrap_err();
    assert!(Failure::of(&error).is_refused_by_client(), "{error}");
    assert_eq!(elsewhere.requests() + place.requests() + svid.requests(), 0);
}

#[tokio::test]
async fn its_connections_end_with_the_own_identity() {
    let agent = agent().start().await.unwrap();
    let web = Web::new();
    let (source, connector) = caller(&agent, &web).await;
    let place = web.serves(&agent, "127.0.0.1", "h2").await;
    let client = client(&connector);
    assert_eq!(text(client.get(place.uri("/"))).await.unwrap(), "0");
    assert_eq!(
        text(client.get(place.uri("/"))).await.unwrap(),
        "0",
        "control"
    );
    source.close();
    eventually("nothing is left", || source.snapshot().svid().is_none()).await;
    let error = client.get(place.uri("/")).await.unwrap_err();
    let requests = place.requests();
    assert!(requests <= 3, "{error}");
}
