use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::server::v1::ServerReflectionServer;

struct Service;

#[spiffe_authz::authorize(ServerReflectionServer)]
#[tonic::async_trait]
impl Health for Service {
    #[permit("spiffe://example.org/service/payment-processor")]
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Err(Status::unknown(""))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    #[permit("spiffe://example.org/service/payment-processor")]
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unknown(""))
    }
}

fn main() {}
