use std::time::Duration;

use integration::{OTHER, SERVER, agent, settled, source};
use spiffe_connector::{Connector, ServersByAuthority, reqwest};

use crate::place::{BOTH, connector, server};

async fn get(client: &reqwest::Client, uri: http::Uri) -> Result<String, reqwest::Error> {
    let response = client.get(uri.to_string()).send().await?;
    response.text().await
}

#[tokio::test]
async fn it_takes_the_expected_server_and_no_other() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        let client = connector(&agent).await.reqwest().unwrap().build().unwrap();
        assert_eq!(get(&client, place.uri("/")).await.unwrap(), "0", "{alpn}");
        let source = source(&agent, "allowed", &[]).await;
        let wrong = Connector::new(source, OTHER).unwrap();
        let wrong = wrong.reqwest().unwrap().build().unwrap();
        let error = get(&wrong, place.uri("/")).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert!(
            format!("{error:?}").contains("UnexpectedServer"),
            "{error:?}"
        );
        assert_eq!(place.requests(), 1);
    }
}

#[tokio::test]
async fn it_speaks_the_protocol_that_is_set() {
    let agent = agent().start().await.unwrap();
    let connector = connector(&agent).await;
    for (only, alpn, other) in [
        (connector.clone().http1_only(), "http/1.1", "h2"),
        (connector.clone().http2_only(), "h2", "http/1.1"),
    ] {
        let client = only.reqwest().unwrap().build().unwrap();
        let place = server(&agent, alpn).await;
        assert_eq!(get(&client, place.uri("/")).await.unwrap(), "0", "{alpn}");
        let place = server(&agent, other).await;
        let error = get(&client, place.uri("/")).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert_eq!(place.requests(), 0, "{other}");
    }
}

#[tokio::test]
async fn it_speaks_https_alone_and_follows_nobody() {
    let agent = agent().start().await.unwrap();
    let place = server(&agent, "h2").await;
    let client = connector(&agent).await.reqwest().unwrap().build().unwrap();
    let plain = format!("http://127.0.0.1:{}/", place.port);
    assert!(client.get(plain).send().await.unwrap_err().is_builder());
    let away = client.get(place.uri("/away").to_string()).send().await;
    assert_eq!(away.unwrap().status(), 302);
    assert_eq!(place.requests(), 1);
}

#[tokio::test]
async fn it_follows_rotations_and_trust() {
    let agent = agent().start().await.unwrap();
    let place = server(&agent, "h2").await;
    let source = source(&agent, "allowed", &[]).await;
    let connector = Connector::new(source.clone(), SERVER).unwrap();
    let build = || {
        // A new connection each time.
        let builder = connector.reqwest().unwrap();
        builder.pool_max_idle_per_host(0).build().unwrap()
    };
    let client = build();
    for number in ["0", "1", "2"] {
        assert_eq!(get(&client, place.uri("/")).await.unwrap(), number);
        let before = source.snapshot().revision();
        agent.rotate_svids();
        settled(&source, |snapshot| snapshot.revision() > before).await;
    }
    source.deny(format!("{SERVER}\nend").parse().unwrap());
    let refused = async {
        while get(&client, place.uri("/")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::place::PATIENCE, refused)
        .await
        .expect("a handshake sees what is denied");
}

#[tokio::test]
async fn what_the_map_does_not_name_gets_no_request() {
    let agent = agent().start().await.unwrap();
    let place = server(&agent, "h2").await;
    let source = source(&agent, "allowed", &[]).await;
    let client = |servers: [(String, &str); 1]| {
        let servers = ServersByAuthority::new(servers).unwrap();
        let connector = Connector::by_authority(source.clone(), servers).unwrap();
        connector.reqwest().unwrap().build().unwrap()
    };
    let named = client([(format!("127.0.0.1:{}", place.port), SERVER)]);
    assert_eq!(get(&named, place.uri("/")).await.unwrap(), "0", "control");
    let unnamed = client([(format!("localhost:{}", place.port), SERVER)]);
    let error = get(&unnamed, place.uri("/")).await.unwrap_err();
    assert!(
        format!("{error:?}").contains("nobody is expected"),
        "{error:?}"
    );
    assert_eq!(place.requests(), 1);

    let ports = [("orders:1", SERVER), ("orders:2", OTHER)];
    let servers = ServersByAuthority::new(ports).unwrap();
    let connector = Connector::by_authority(source, servers).unwrap();
    assert!(connector.reqwest().unwrap_err().is_expectation());
}
