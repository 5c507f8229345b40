use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use prost_types::Any;
use spiffe_devkit::{Agent, Fault, TrustDomainSpec};
use spiffe_source::workload_api::messages::{
    JwtBundlesResponse, JwtSvidRequest, JwtSvidResponse, ValidateJwtSvidRequest,
    ValidateJwtSvidResponse, X509BundlesResponse, X509SvidResponse,
};
use tonic::Code;

use crate::client::{Client, Updates};
use crate::entries::own;
use crate::{ORDERS, entry, example_org, orders};

#[tokio::test]
async fn conformance_54_the_security_header_is_demanded_on_every_method() {
    let (_agent, mut client) = orders().await;
    for header in [
        vec![],
        vec!["false"],
        vec!["True"],
        vec![""],
        vec!["true", "true"],
        vec!["true", "false"],
    ] {
        client.header = header.clone();
        let refused = [
            client.x509_svids().await.map(drop).unwrap_err(),
            client.x509_bundles().await.map(drop).unwrap_err(),
            client.jwt_bundles().await.map(drop).unwrap_err(),
            client.jwt_svids(&["a"], "").await.unwrap_err(),
            client.validate("a", "b").await.unwrap_err(),
            client
                .unary::<Any, Any>("FetchWITSVID", Any::default())
                .await
                .unwrap_err(),
        ];
        for status in refused {
            assert_eq!(status.code(), Code::InvalidArgument, "{header:?}");
            assert_eq!(
                status.message(),
                "security header missing from request",
                "{header:?}"
            );
        }
    }
    client.header = vec!["true"];
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);
}

/// TLS and client authentication would need the identity that the caller comes to fetch.
#[tokio::test]
async fn conformance_55_no_tls_and_nothing_that_the_caller_must_do_to_be_known() {
    let (uid, ..) = own();
    let agent = example_org()
        .entry(entry(ORDERS).on("unix").uid(uid))
        .entry(entry(ORDERS).on("tcp").over_tcp())
        .unix("unix")
        .tcp("tcp")
        .start()
        .await
        .unwrap();
    for listener in ["unix", "tcp"] {
        let mut client = Client::connect(agent.endpoint(listener).unwrap()).await;
        assert_eq!(client.ids().await.unwrap(), [ORDERS]);
        client.header.clear();
        assert_eq!(
            client.ids().await.unwrap_err().code(),
            Code::InvalidArgument,
            "control"
        );
    }
    let log = agent.log();
    let caller = log[0].caller();
    assert_eq!(caller.pid(), i32::try_from(std::process::id()).ok());
    assert_eq!(caller.uid(), Some(uid));
}

#[tokio::test]
async fn conformance_62_who_cannot_be_served_now_is_told_to_come_again() {
    let short_lived = TrustDomainSpec::new("example.org")
        .unwrap()
        .authority_ttl(Duration::from_secs(1));
    let agent = Agent::builder()
        .trust_domain(short_lived)
        .entry(entry(ORDERS))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    // The authority ends, and with it the means to issue.
    let served = async {
        let mut updates = client.x509_svids().await?;
        loop {
            updates.next().await?;
        }
    };
    let status: Result<std::convert::Infallible, tonic::Status> = served.await;
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    assert_eq!(client.ids().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn conformance_62_a_caller_without_identity_is_denied_on_every_method() {
    let agent = example_org()
        .entry(entry(ORDERS).on("orders"))
        .unix("orders")
        .unix("other")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("other").unwrap()).await;
    let refused = [
        client.x509_svids().await.map(drop).unwrap_err(),
        client.x509_bundles().await.map(drop).unwrap_err(),
        client.jwt_bundles().await.map(drop).unwrap_err(),
        client.jwt_svids(&["a"], "").await.unwrap_err(),
        client.validate("a", "b").await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.message(), "no identity issued");
    }
}

#[tokio::test]
async fn conformance_63_the_workload_api_has_its_name_and_is_no_part_of_another_service() {
    let (_agent, client) = orders().await;
    for path in [
        "/spiffe.workload.SpiffeWorkloadAPI/FetchX509SVID",
        "/spiffeworkloadapi/FetchX509SVID",
        "/SpiffeWorkloadAPI2/FetchX509SVID",
        "/SpiffeWorkloadAPI/SpiffeWorkloadAPI/FetchX509SVID",
        "/grpc.health.v1.Health/FetchX509SVID",
        "/FetchX509SVID",
        "/",
    ] {
        let status = client.raw(path, &Any::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
    client
        .raw("/SpiffeWorkloadAPI/FetchX509SVID", &Any::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn conformance_64_both_profiles_are_served_and_no_message_has_a_field_of_its_own() {
    fn knows_all<M: Message + Default>(raw: &Bytes) -> M {
        let message = M::decode(raw.clone()).unwrap();
        assert_eq!(message.encoded_len(), raw.len(), "an unknown field");
        message
    }
    let (agent, client) = orders().await;
    let raw = async |method, request: &Any| client.raw(method, request).await.unwrap();
    let nothing = Any::default();
    let svids: X509SvidResponse = knows_all(&raw("FetchX509SVID", &nothing).await);
    assert_eq!(svids.svids.len(), 1);
    let bundles: X509BundlesResponse = knows_all(&raw("FetchX509Bundles", &nothing).await);
    assert_eq!(bundles.bundles.len(), 1);
    let bundles: JwtBundlesResponse = knows_all(&raw("FetchJWTBundles", &nothing).await);
    assert_eq!(bundles.bundles.len(), 1);

    agent.fault("orders", Fault::Huge(100_000)).unwrap();
    let padded = raw("FetchX509Bundles", &nothing).await;
    let message = X509BundlesResponse::decode(padded.clone()).unwrap();
    assert!(message.encoded_len() < padded.len(), "control");
    agent.heal("orders").unwrap();

    let audience = vec!["stock".to_owned()];
    let request = JwtSvidRequest {
        audience,
        spiffe_id: String::new(),
    };
    let tokens = client.raw("FetchJWTSVID", &request).await.unwrap();
    let mut tokens: JwtSvidResponse = knows_all(&tokens);
    let svid = tokens.svids.remove(0).svid;
    let request = ValidateJwtSvidRequest {
        audience: "stock".to_owned(),
        svid,
    };
    let valid = client.raw("ValidateJWTSVID", &request).await.unwrap();
    assert_eq!(
        knows_all::<ValidateJwtSvidResponse>(&valid).spiffe_id,
        ORDERS
    );
}

#[tokio::test]
async fn conformance_66_the_first_answer_is_immediate_and_each_answer_is_the_full_set() {
    let billing = "spiffe://example.org/service/billing";
    let agent = example_org()
        .entry(entry(ORDERS))
        .entry(entry(billing))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;

    let mut one = client.x509_svids().await.unwrap();
    let mut other = client.x509_svids().await.unwrap();
    let first = one.next().await.unwrap();
    assert_eq!(
        first,
        other.next().await.unwrap(),
        "all streams of a caller carry the same SVIDs"
    );

    agent.rotate_svids();
    let second = one.next().await.unwrap();
    let ids: Vec<_> = second
        .svids
        .iter()
        .map(|svid| svid.spiffe_id.as_str())
        .collect();
    assert_eq!(ids, [ORDERS, billing]);
    assert_ne!(first, second);
    assert_eq!(second, other.next().await.unwrap());
}

#[tokio::test]
async fn conformance_71_an_empty_mandatory_field_is_an_invalid_argument() {
    let (_agent, client) = orders().await;
    for audience in [&[][..], &[""], &["a", ""]] {
        assert_eq!(
            client.jwt_svids(audience, "").await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    for (audience, svid) in [("", "b"), ("a", ""), ("", "")] {
        assert_eq!(
            client.validate(audience, svid).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}

#[tokio::test]
async fn conformance_74_answers_hold_svids_and_the_own_trust_domain() {
    let (_agent, client) = orders().await;
    assert_eq!(client.first_x509_svids().await.unwrap().svids.len(), 1);

    let x509 = client.x509_bundles().await.unwrap().next().await.unwrap();
    assert_eq!(
        x509.bundles.keys().collect::<Vec<_>>(),
        ["spiffe://example.org"]
    );
    let jwt = client.jwt_bundles().await.unwrap().next().await.unwrap();
    assert_eq!(
        jwt.bundles.keys().collect::<Vec<_>>(),
        ["spiffe://example.org"]
    );
}

#[tokio::test]
async fn conformance_83_the_wit_profile_and_whatever_else_is_unknown_is_unimplemented() {
    let (_agent, client) = orders().await;
    for method in [
        "FetchWITSVID",
        "ValidateWITSVID",
        "fetchX509SVID",
        "FetchX509SVID/",
    ] {
        let status = client
            .unary::<Any, Any>(method, Any::default())
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{method}");
    }
    let stream: Result<Updates<Any>, _> = client.stream("FetchWITBundles", Any::default()).await;
    assert_eq!(stream.map(drop).unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_request_that_is_too_large_or_no_protobuf_is_refused() {
    let (_agent, client) = orders().await;
    let audience = "a".repeat(100 * 1024);
    let status = client.jwt_svids(&[&audience], "").await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);

    // The audience is the first field: a number where a text belongs.
    let status = client
        .unary::<u64, Any>("FetchJWTSVID", 7)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(
        client.ids().await.unwrap(),
        [ORDERS],
        "others are served as before"
    );
}

#[tokio::test]
async fn conformance_56_and_58_to_60_endpoints_are_paths_or_loopback_addresses() {
    let agent = example_org()
        .entry(entry(ORDERS).over_tcp())
        .unix("unix")
        .tcp("tcp")
        .start()
        .await
        .unwrap();
    let unix = agent.endpoint("unix").unwrap();
    let path = unix.strip_prefix("unix://").unwrap();
    assert!(
        path.starts_with('/') && !path.contains(['?', '#', '%']),
        "{unix}"
    );
    let tcp: std::net::SocketAddr = agent
        .endpoint("tcp")
        .unwrap()
        .strip_prefix("tcp://")
        .unwrap()
        .parse()
        .unwrap();
    assert!(tcp.ip().is_loopback() && tcp.port() != 0);
    assert_eq!(agent.endpoint("other"), None);

    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = example_org()
            .tcp_at("tcp", address.parse().unwrap())
            .start()
            .await
            .unwrap_err();
        assert!(refused.is_invalid(), "{address}: {refused}");
    }
}
