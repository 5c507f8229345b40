//! `grpc.health.v1.Health/Check`.

use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::rpc::{Answer, Witnessed};
use crate::failure::Failure;

pub(super) async fn check(channel: Witnessed, service: String) -> Result<Answer, Status> {
    let asked = HealthCheckRequest {
        service: service.clone(),
    };
    let state = match HealthClient::new(channel).check(asked).await {
        Ok(answer) => answer.into_inner().status(),
        Err(status) => return Err(explained(status, &service)),
    };
    Ok(Answer {
        text: format!("{}\n", state.as_str_name()),
        good: match state {
            ServingStatus::Serving => Ok(()),
            _ if service.is_empty() => Err(Failure::failed("the server does not serve")),
            _ => Err(Failure::failed(format!(
                "the server does not serve {service}"
            ))),
        },
    })
}

/// Two statuses that have a meaning of their own here.
fn explained(status: Status, service: &str) -> Status {
    // One with a source is of this end, and its source is what is told.
    if std::error::Error::source(&status).is_some() {
        return status;
    }
    match status.code() {
        Code::NotFound => Status::not_found(format!(
            "it knows nothing of the health of `{service}`; --grpc-list shows its services"
        )),
        Code::Unimplemented => Status::unimplemented("it has no grpc.health.v1.Health"),
        _ => status,
    }
}
