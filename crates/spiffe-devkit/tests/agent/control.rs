use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use spiffe_devkit::{Agent, Authority, Command, TrustDomainSpec, send_command};

use crate::client::Client;
use crate::{ORDERS, entry};

async fn controlled() -> (Agent, Client) {
    let agent = Agent::builder()
        .trust_domain(
            TrustDomainSpec::new("example.org")
                .unwrap()
                .federates_with("sister.test"),
        )
        .trust_domain(TrustDomainSpec::new("sister.test").unwrap())
        .entry(entry(ORDERS))
        .unix("orders")
        .control()
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    (agent, client)
}

async fn tell(agent: &Agent, command: &str) -> Result<String, String> {
    let command: Command = command.parse().unwrap();
    send_command(agent.control_socket().unwrap(), &command)
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_command_does_what_it_says() {
    let (agent, client) = controlled().await;
    let mut updates = client.x509_svids().await.unwrap();
    let first = updates.next().await.unwrap();

    tell(&agent, "rotate svids").await.unwrap();
    let rotated = updates.next().await.unwrap();
    assert_ne!(rotated.svids[0].x509_svid, first.svids[0].x509_svid);

    tell(&agent, "prepare authority example.org").await.unwrap();
    assert_ne!(
        updates.next().await.unwrap().svids[0].bundle,
        first.svids[0].bundle
    );
    tell(&agent, "activate authority example.org")
        .await
        .unwrap();
    tell(&agent, "retire authority example.org").await.unwrap();
    updates.next().await.unwrap();
    let error = tell(&agent, "retire authority example.org")
        .await
        .unwrap_err();
    assert!(error.starts_with("there is no old authority"), "{error}");

    tell(&agent, "remove-bundle sister.test").await.unwrap();
    assert!(updates.next().await.unwrap().federated_bundles.is_empty());

    tell(&agent, "federate example.org sister.test")
        .await
        .unwrap();
    assert_eq!(updates.next().await.unwrap().federated_bundles.len(), 1);
    tell(&agent, "remove-bundle sister.test").await.unwrap();
    updates.next().await.unwrap();

    let partner = Authority::new("partner.test").unwrap();
    let file = agent.directory().join("partner.der");
    std::fs::write(&file, partner.bundle_der()).unwrap();
    tell(
        &agent,
        &format!("add-bundle partner.test {}", file.display()),
    )
    .await
    .unwrap();
    assert_eq!(
        updates.next().await.unwrap().federated_bundles["spiffe://partner.test"],
        partner.bundle_der()
    );

    let (one, other) = (
        partner.roots(),
        Authority::new("partner.test").unwrap().roots(),
    );
    let pem = format!("{}{}", pem(&one[0]), pem(&other[0]));
    std::fs::write(&file, pem).unwrap();
    tell(
        &agent,
        &format!("add-bundle partner.test {}", file.display()),
    )
    .await
    .unwrap();
    let both = [&one[0][..], &other[0]].concat();
    assert_eq!(
        updates.next().await.unwrap().federated_bundles["spiffe://partner.test"],
        both
    );
    std::fs::remove_file(&file).unwrap();

    let error = tell(&agent, "add-bundle partner.test /dev/zero")
        .await
        .unwrap_err();
    assert_eq!(error, "/dev/zero: is no regular file");

    tell(&agent, "error unavailable orders").await.unwrap();
    assert_eq!(
        updates.next().await.unwrap_err().code(),
        tonic::Code::Unavailable
    );
    assert!(
        tell(&agent, "status")
            .await
            .unwrap()
            .contains("fault: error unavailable")
    );
    tell(&agent, "heal orders").await.unwrap();
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);

    tell(&agent, &format!("withdraw {ORDERS}")).await.unwrap();
    client.ids().await.unwrap_err();
    assert!(tell(&agent, "status").await.unwrap().contains("withdrawn"));
    tell(&agent, &format!("restore {ORDERS}")).await.unwrap();
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);

    let error = tell(&agent, "hang nowhere").await.unwrap_err();
    assert_eq!(
        error,
        "the agent has no listener `nowhere`; there is `orders`"
    );
    let error = tell(&agent, "rotate authority other.test")
        .await
        .unwrap_err();
    assert_eq!(
        error,
        "the agent has no trust domain `other.test`; there is `example.org`, `sister.test`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_gets_the_list_of_those_that_are() {
    let (agent, _client) = controlled().await;
    let socket = agent.control_socket().unwrap();
    let endless = "a".repeat(1 << 20);
    for line in ["\n", "explode\n", "\u{1b}[2J\n", "status now\n", &endless] {
        let mut stream = UnixStream::connect(socket).unwrap();
        // An agent that reads no further closes while there is more to write.
        let _ = stream.write_all(line.as_bytes());
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("error\n") || (line.len() > 8192 && read.is_err()),
            "{answer}"
        );
        assert!(answer.contains("write") || read.is_err(), "{answer}");
        assert!(answer.len() < 4096);
    }
    assert!(tell(&agent, "status").await.is_ok());
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
