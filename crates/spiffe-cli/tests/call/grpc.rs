//! Health and reflection of real tonic servers.

use spiffe_acceptor::PeerIdentityLayer;
use spiffe_devkit::Agent;
use tonic::Status;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use crate::stage::{CLIENT, LEFT, SERVER, agent, call, listener, run, serve, spiffectl};

async fn start(agent: &Agent, routes: Routes) -> String {
    let (listener, address) = listener(agent).await;
    let server = Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_routes(routes)
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);
    format!("https://{address}")
}

fn descriptions() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

#[tokio::test]
async fn health_is_told_and_is_the_status() {
    let agent = agent().await;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("shop.Orders", ServingStatus::Serving)
        .await;
    reporter
        .set_service_status("shop.Stock", ServingStatus::NotServing)
        .await;
    let server = start(&agent, Routes::new(health)).await;

    for option in ["--grpc-health", "--grpc-health=shop.Orders"] {
        let called = call(&agent, &server, &[option, "-v"]).await;
        assert_eq!(
            (called.status, called.out.as_str()),
            (Some(0), "SERVING\n"),
            "{called:?}"
        );
        for told in [CLIENT, SERVER, LEFT, "gRPC"] {
            assert!(called.err.contains(told), "{told}: {called:?}");
        }
    }
    let called = call(&agent, &server, &["--grpc-health=shop.Stock"]).await;
    assert_eq!(
        (called.status, called.out.as_str()),
        (Some(1), "NOT_SERVING\n")
    );
    assert!(
        called.err.contains("does not serve shop.Stock"),
        "{called:?}"
    );
    let called = call(&agent, &server, &["--grpc-health=shop.Nothing"]).await;
    assert_eq!((called.status, called.out.as_str()), (Some(1), ""));
    assert!(called.err.contains("NOT_FOUND"), "{called:?}");
    assert!(called.err.contains("shop.Nothing"), "{called:?}");
}

#[tokio::test]
async fn reflection_lists_services_and_methods_in_both_versions() {
    let agent = agent().await;
    let new = Routes::new(descriptions().build_v1().unwrap());
    let old = Routes::new(descriptions().build_v1alpha().unwrap());
    for (routes, own) in [
        (new, "grpc.reflection.v1.ServerReflection"),
        (old, "grpc.reflection.v1alpha.ServerReflection"),
    ] {
        let server = start(&agent, routes).await;
        let called = call(&agent, &server, &["--grpc-list"]).await;
        let services = format!("grpc.health.v1.Health\n{own}\n");
        assert_eq!(
            (called.status, called.out.as_str()),
            (Some(0), services.as_str()),
            "{called:?}"
        );
        let called = call(&agent, &server, &["--grpc-list=grpc.health.v1.Health"]).await;
        let lines: Vec<_> = called.out.lines().collect();
        assert!(
            lines.contains(
                &"grpc.health.v1.Health/Check (grpc.health.v1.HealthCheckRequest) \
                  returns (grpc.health.v1.HealthCheckResponse)"
            ),
            "{called:?}"
        );
        assert!(
            lines.contains(
                &"grpc.health.v1.Health/Watch (grpc.health.v1.HealthCheckRequest) \
                  returns (stream grpc.health.v1.HealthCheckResponse)"
            ),
            "{called:?}"
        );
        let called = call(&agent, &server, &["--grpc-list=shop.Nothing"]).await;
        assert_eq!((called.status, called.out.as_str()), (Some(1), ""));
        assert!(called.err.contains("NOT_FOUND"), "{called:?}");
        let message = call(
            &agent,
            &server,
            &["--grpc-list=grpc.health.v1.HealthCheckRequest"],
        )
        .await;
        assert_eq!(message.status, Some(1), "no service: {message:?}");
    }
}

#[tokio::test]
async fn what_a_server_has_not_is_told() {
    let agent = agent().await;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let without_reflection = start(&agent, Routes::new(health)).await;
    let called = call(&agent, &without_reflection, &["--grpc-list"]).await;
    assert_eq!(called.status, Some(1), "{called:?}");
    assert!(
        called.err.contains("it has no server reflection"),
        "{called:?}"
    );
    let reflection = Routes::new(descriptions().build_v1().unwrap());
    let without_health = start(&agent, reflection).await;
    let called = call(&agent, &without_health, &["--grpc-health"]).await;
    assert_eq!(called.status, Some(1), "{called:?}");
    assert!(
        called.err.contains("it has no grpc.health.v1.Health"),
        "{called:?}"
    );
    let web = serve(&agent, axum::Router::new()).await;
    let called = call(&agent, &web, &["--grpc-health"]).await;
    assert_eq!((called.status, called.out.as_str()), (Some(1), ""));
}

#[tokio::test]
async fn a_refusal_names_both_and_its_message_commands_no_terminal() {
    let agent = agent().await;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let denies =
        |_| -> Result<_, Status> { Err(Status::permission_denied("not \u{1b}[31myou\r\u{202e}")) };
    let routes = Routes::new(InterceptedService::new(health, denies));
    let server = start(&agent, routes).await;
    let pattern = "spiffe://example.org/service/*";
    let arguments = [&server, "--expect", pattern, "--grpc-health"];
    let called = run(spiffectl(agent.endpoint("client"), &arguments)).await;
    assert_eq!((called.status, called.out.as_str()), (Some(1), ""));
    for told in [
        SERVER,
        CLIENT,
        "does not permit",
        "PERMISSION_DENIED",
        "not \\u{1b}[31myou\\r",
    ] {
        assert!(called.err.contains(told), "{told}: {called:?}");
    }
    let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!called.err.contains(obeyed), "{called:?}");
}

#[tokio::test]
async fn the_wrong_server_is_named() {
    let agent = agent().await;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = start(&agent, Routes::new(health)).await;
    let other = "spiffe://example.org/service/other";
    for option in ["--grpc-health", "--grpc-list"] {
        let arguments = [&server, "--expect", other, option];
        let called = run(spiffectl(agent.endpoint("client"), &arguments)).await;
        assert_eq!((called.status, called.out.as_str()), (Some(1), ""));
        let told = format!("the server is {SERVER}, expected was {other}");
        assert!(called.err.contains(&told), "{called:?}");
    }
}

#[tokio::test]
async fn a_call_without_an_answer_is_over_when_its_time_is() {
    let agent = agent().await;
    let silent = axum::Router::new().fallback(async || std::future::pending::<String>().await);
    let server = serve(&agent, silent).await;
    for option in ["--grpc-health", "--grpc-list"] {
        let called = call(&agent, &server, &[option, "--max-time", "1.5"]).await;
        assert_eq!(called.status, Some(1), "{called:?}");
        assert!(called.err.contains("within 1.5s"), "{called:?}");
    }
}
