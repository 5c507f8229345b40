use futures_util::FutureExt;
use http::Uri;
use integration::{ALLOWED, FOREIGN, OTHER, SERVER, agent, source};
use spiffe_connector::{
    CallError, Connector, ExpectedServer, Failure, InvalidExpectation, ServersByAuthority,
};
use spiffe_peer::{IdMatcher, IdPattern, PeerIdentity, TrustDomain, parse};
use spiffe_source::Source;
use spiffe_tls::ClientTls;
use tokio::net::TcpListener;

use crate::place::{BOTH, Client, Place, server, text};

async fn call<E>(source: &Source, expected: E, place: &Place) -> Result<String, CallError>
where
    E: TryInto<ExpectedServer, Error: Into<InvalidExpectation>>,
{
    let connector = Connector::new(source.clone(), expected).unwrap();
    let client: Client = connector.http_client();
    let response = client.get(place.uri("/")).await?;
    let peer = response.extensions().get::<PeerIdentity>();
    Ok(peer.expect("the server is somebody").to_string())
}

#[tokio::test]
async fn each_kind_of_expectation_takes_the_server_and_refuses_every_other() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "allowed", &[]).await;
    let domain = |name: &str| TrustDomain::new(name).unwrap();
    let pattern = |text: &str| text.parse::<IdPattern>().unwrap();
    let id = |text: &str| parse::workload_id(text).unwrap();
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        let set = IdMatcher::any_of([&id(SERVER), &id(OTHER)]);
        let members = IdMatcher::member_of(domain("example.org"));
        let taken: [ExpectedServer; 6] = [
            SERVER.parse().unwrap(),
            (&id(SERVER)).into(),
            pattern("spiffe://example.org/service/*").into(),
            set.into(),
            members.clone().except(&id(OTHER)).into(),
            ExpectedServer::member_of("example.org").unwrap(),
        ];
        for expected in taken {
            let peer = call(&source, expected.clone(), &place).await;
            assert_eq!(peer.unwrap(), SERVER, "{alpn}: {expected}");
        }
        let requests = place.requests();
        assert_eq!(requests, 6);
        let refused: [ExpectedServer; 6] = [
            OTHER.parse().unwrap(),
            (&id(FOREIGN)).into(),
            pattern("spiffe://example.org/ns/**").into(),
            IdMatcher::any_of::<IdMatcher>([]).into(),
            members.except(&id(SERVER)).into(),
            ExpectedServer::member_of("partner.test").unwrap(),
        ];
        for expected in refused {
            let error = call(&source, expected.clone(), &place).await.unwrap_err();
            let unexpected = error.connect().unwrap().unexpected_server().unwrap();
            assert_eq!(unexpected.actual().to_string(), SERVER);
            assert_eq!(*unexpected.expected(), expected);
            assert!(Failure::of(&error).is_refused_by_client(), "{error}");
        }
        assert_eq!(place.requests(), requests, "{alpn}: nobody else was asked");
    }
}

#[tokio::test]
async fn what_is_expected_depends_on_what_is_dialled() {
    let agent = agent().start().await.unwrap();
    let client_source = source(&agent, "other", &[]).await;
    let orders = server(&agent, "h2").await;
    let payments = Place::open(source(&agent, "allowed", &[]).await, "h2").await;
    let at = |place: &Place| format!("127.0.0.1:{}", place.port);
    let client = |servers: ServersByAuthority| -> Client {
        Connector::by_authority(client_source.clone(), servers)
            .unwrap()
            .http_client()
    };
    let right = ServersByAuthority::new([(at(&orders), SERVER), (at(&payments), ALLOWED)]).unwrap();
    let right = client(right);
    // Twice: the second time with what is remembered of the first.
    for _ in 0..2 {
        for (place, id) in [(&orders, SERVER), (&payments, ALLOWED)] {
            let response = right.get(place.uri("/")).await.unwrap();
            let peer = response.extensions().get::<PeerIdentity>().unwrap();
            assert_eq!(peer.as_str(), id);
        }
    }
    let handled = (orders.requests(), payments.requests());
    assert_eq!(handled, (2, 2));

    let swapped =
        ServersByAuthority::new([(at(&orders), ALLOWED), (at(&payments), SERVER)]).unwrap();
    let swapped = client(swapped);
    for (place, id) in [(&orders, SERVER), (&payments, ALLOWED)] {
        let error = swapped.get(place.uri("/")).await.unwrap_err();
        let unexpected = error.connect().unwrap().unexpected_server().unwrap();
        assert_eq!(unexpected.actual().to_string(), id, "though the map has it");
    }
    assert_eq!((orders.requests(), payments.requests()), handled);
}

#[tokio::test]
async fn what_the_map_does_not_name_is_not_even_dialled() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "allowed", &[]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = silent.local_addr().unwrap();
    let servers = ServersByAuthority::new([("127.0.0.1:1", SERVER)]).unwrap();
    let connector = Connector::by_authority(source.clone(), servers).unwrap();
    let uri: Uri = format!("https://{dialled}/").parse().unwrap();
    let client: Client = connector.http_client();
    let error = client.get(uri.clone()).await.unwrap_err();
    let connect = error.connect().unwrap();
    assert!(connect.is_nobody_expected(), "{error}");
    assert!(error.to_string().contains(&dialled.to_string()), "{error}");
    assert!(silent.accept().now_or_never().is_none(), "nobody came");

    let servers = ServersByAuthority::new([(dialled.to_string(), SERVER)]).unwrap();
    let connector = Connector::by_authority(source, servers).unwrap();
    let client: Client = connector.http_client();
    let call = tokio::spawn(client.get(uri));
    silent.accept().await.expect("control: somebody comes");
    call.abort();
}

#[tokio::test]
async fn whatever_the_scheme_the_connection_is_tls() {
    let agent = agent().start().await.unwrap();
    let place = server(&agent, "h2").await;
    let client: Client = crate::place::connector(&agent).await.http_client();
    let uri = format!("http://127.0.0.1:{}/", place.port);
    let answer = text(client.get(uri.parse().unwrap())).await;
    assert_eq!(answer.unwrap(), "0", "the place takes nothing else");
}

#[tokio::test]
async fn a_user_in_the_uri_stays_at_home() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let own = source(&agent, "server", &[]).await;
        let place = Place::serving(own, alpn, |_, _, request| {
            let seen = format!("{} {:?}", request.uri(), request.headers());
            Box::pin(async move { http::Response::new(axum::body::Body::from(seen)) })
        })
        .await;
        let client: Client = crate::place::connector(&agent).await.http_client();
        let uri = format!("https://me:secret@127.0.0.1:{}/x", place.port);
        let seen = text(client.get(uri.parse().unwrap())).await.unwrap();
        assert!(!seen.contains("secret"), "{alpn}: {seen}");
        assert!(
            seen.contains(&format!("127.0.0.1:{}", place.port)),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn to_narrow_what_is_expected_never_widens_it() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "allowed", &[]).await;
    let own = integration::source(&agent, "server", &[]).await;
    let svid = own.snapshot();
    let chain: Vec<_> = svid
        .svid()
        .unwrap()
        .chain()
        .map(|der| der.to_vec().into())
        .collect();
    let now = std::time::SystemTime::now();
    for (base, narrower, is_met) in [
        ("spiffe://example.org/service/*", SERVER, true),
        (SERVER, "spiffe://example.org/**", true),
        ("spiffe://example.org/service/*", OTHER, false),
        (OTHER, "spiffe://example.org/**", false),
        (OTHER, SERVER, false),
    ] {
        let tls = ClientTls::new(source.clone(), base.parse().unwrap()).unwrap();
        let revision = tls
            .current()
            .unwrap()
            .narrowed_to(&narrower.parse().unwrap());
        let verdict = revision.identify(Some(&chain), now);
        assert_eq!(verdict.is_ok(), is_met, "{base} {narrower}");
    }
}
