use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty};
use integration::grpc;
use integration::{ALLOWED, SERVER, agent, agent_of_brief_callers, source};
use spiffe_connector::{CallError, HttpClient, JwtSvidLayer, TokenError, VerifiesServer};
use spiffe_devkit::{Agent, Code, Fault};
use spiffe_source::Source;
use tonic::{Code as GrpcCode, Status};
use tower::{Layer, Service, ServiceExt};

use crate::place::{Place, connector};

const STOCK: &str = "spiffe://example.org/service/stock";

/// A server that tells what it is shown.
async fn telling(source: Source) -> Place {
    Place::serving(source, "h2", |_, _, request| {
        Box::pin(async move {
            let shown = request.headers().get(AUTHORIZATION);
            let shown = shown.map_or("", |shown| shown.to_str().unwrap()).to_owned();
            if request.uri().path().starts_with("/test.Whoami") {
                return Status::unknown(shown).into_http();
            }
            Response::new(Body::from(shown))
        })
    })
    .await
}

fn fetches(agent: &Agent) -> usize {
    let log = agent.log();
    let tokens = log.iter().filter(|one| one.method() == "FetchJWTSVID");
    tokens.count()
}

fn get(place: &Place) -> Request<Empty<Bytes>> {
    Request::get(place.uri("/")).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn each_request_shows_a_token_over_http_and_grpc_alike() {
    let agent = agent().start().await.unwrap();
    let server = source(&agent, "server", &[]).await;
    let place = telling(server.clone()).await;
    let own = source(&agent, "allowed", &[]).await;
    let connector = connector(&agent).await;
    let layer = JwtSvidLayer::new(own, [STOCK]);
    let checks = |bearer: &str| {
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let svid = server.validate_jwt_svid(token, STOCK).unwrap();
        assert_eq!(svid.spiffe_id().to_string(), ALLOWED);
        server.validate_jwt_svid(token, SERVER).unwrap_err();
    };
    let http = layer.layer(connector.http_client());
    for _ in 0..3 {
        let response = http.clone().oneshot(get(&place)).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        checks(std::str::from_utf8(&body).unwrap());
    }
    let origin = format!("https://127.0.0.1:{}", place.port);
    let channel = layer.layer(connector.grpc_channel(origin).unwrap());
    let status = grpc::once(channel).await.unwrap_err();
    assert_eq!(status.code(), GrpcCode::Unknown);
    checks(status.message());
    assert_eq!(fetches(&agent), 1, "one token serves all");
}

#[tokio::test]
async fn without_a_token_there_is_no_request() {
    let agent = agent().start().await.unwrap();
    let place = telling(source(&agent, "server", &[]).await).await;
    let own = source(&agent, "allowed", &[]).await;
    let connector = connector(&agent).await;
    let nobody = JwtSvidLayer::new(own.clone(), Vec::<String>::new());
    let nobody = nobody.layer(connector.http_client());
    let error = nobody.oneshot(get(&place)).await.unwrap_err();
    let token = error.downcast_ref::<TokenError>().unwrap();
    assert!(token.jwt().unwrap().is_configuration(), "{error}");

    let taken = JwtSvidLayer::new(own.clone(), ["audit"]).layer(connector.http_client());
    let mut request = get(&place);
    let users = HeaderValue::from_static("Bearer of-a-user");
    request.headers_mut().insert(AUTHORIZATION, users);
    let error = taken.clone().oneshot(request).await.unwrap_err();
    assert!(error.downcast_ref::<TokenError>().unwrap().is_taken());
    assert_eq!(place.requests(), 0);
    assert!(taken.oneshot(get(&place)).await.is_ok(), "control");

    let denied = Fault::Error {
        code: Code::PermissionDenied,
        message: "no identity".to_owned(),
    };
    agent.fault("allowed", denied).unwrap();
    let layer = JwtSvidLayer::new(own, [STOCK]);
    let http = layer.layer(connector.http_client());
    let error = http.oneshot(get(&place)).await.unwrap_err();
    let token = error.downcast_ref::<TokenError>().unwrap();
    assert!(token.jwt().unwrap().is_denied(), "{error}");
    assert!(error.to_string().contains("not sent"), "{error}");
    let origin = format!("https://127.0.0.1:{}", place.port);
    let channel = layer.layer(connector.grpc_channel(origin).unwrap());
    let status = grpc::once(channel).await.unwrap_err();
    assert_eq!(status.code(), GrpcCode::Unauthenticated, "{status:?}");
    assert_eq!(place.requests(), 1);
}

/// Keeps what it is given instead of sending it.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<Vec<HeaderValue>>>);

impl VerifiesServer for Keeps {}

impl Service<Request<()>> for Keeps {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let shown = request.headers()[AUTHORIZATION].clone();
        self.0.lock().unwrap().push(shown);
        std::future::ready(Ok(()))
    }
}

#[tokio::test]
async fn the_token_is_a_secret_to_logs_and_indexes() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "allowed", &[]).await;
    let keeps = Keeps::default();
    let service = JwtSvidLayer::new(own, [STOCK]).layer(keeps.clone());
    service.oneshot(Request::new(())).await.unwrap();
    let shown = keeps.0.lock().unwrap().pop().unwrap();
    assert!(shown.is_sensitive());
    assert_eq!(format!("{shown:?}"), "Sensitive");
}

#[tokio::test]
async fn a_server_that_is_not_the_expected_one_gets_no_token() {
    let agent = agent().start().await.unwrap();
    let impostor = telling(source(&agent, "other", &[]).await).await;
    let own = source(&agent, "allowed", &[]).await;
    let client: HttpClient<Empty<Bytes>> = connector(&agent).await.http_client();
    let http = JwtSvidLayer::new(own, [STOCK]).layer(client);
    let error = http.oneshot(get(&impostor)).await.unwrap_err();
    let error = error.downcast_ref::<CallError>().unwrap();
    assert!(error.connect().unwrap().unexpected_server().is_some());
    assert_eq!(impostor.requests(), 0);
}

#[tokio::test]
async fn a_token_is_refreshed_before_it_ends() {
    let ttl = Duration::from_secs(4);
    let agent = agent_of_brief_callers(ttl).start().await.unwrap();
    let server = source(&agent, "server", &[]).await;
    let place = telling(server.clone()).await;
    let own = source(&agent, "allowed", &[]).await;
    let client = connector(&agent).await.http_client::<Empty<Bytes>>();
    let http = JwtSvidLayer::new(own, [STOCK]).layer(client);
    let begun = Instant::now();
    while begun.elapsed() < ttl * 2 {
        let response = http.clone().oneshot(get(&place)).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let token = body.strip_prefix(b"Bearer ").unwrap();
        let token = std::str::from_utf8(token).unwrap();
        server.validate_jwt_svid(token, STOCK).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let fetches = fetches(&agent);
    assert!((2..=20).contains(&fetches), "{fetches}");
}
