//! Server reflection: v1, and v1alpha where the server has no v1.

use std::fmt::Write as _;

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::{FileDescriptorProto, MethodDescriptorProto};
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::escape::escaped;
use super::rpc::{Answer, Witnessed};

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Its messages are those of v1, in another package.
const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

pub(super) async fn list(channel: Witnessed, service: &str) -> Result<Answer, Status> {
    let text = match service {
        "" => services(ask(channel, MessageRequest::ListServices(String::new())).await?)?,
        service => {
            let question = MessageRequest::FileContainingSymbol(service.to_owned());
            methods(ask(channel, question).await?, service)?
        }
    };
    Ok(Answer { text, good: Ok(()) })
}

async fn ask(channel: Witnessed, question: MessageRequest) -> Result<MessageResponse, Status> {
    match ask_at(V1, channel.clone(), question.clone()).await {
        Err(status) if status.code() == Code::Unimplemented => {
            match ask_at(V1ALPHA, channel, question).await {
                Err(status) if status.code() == Code::Unimplemented => {
                    Err(Status::unimplemented("it has no server reflection"))
                }
                answer => answer,
            }
        }
        answer => answer,
    }
}

async fn ask_at(
    path: &'static str,
    channel: Witnessed,
    question: MessageRequest,
) -> Result<MessageResponse, Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let questions = Request::new(tokio_stream::once(question));
    let answers = grpc
        .streaming(questions, PathAndQuery::from_static(path), codec)
        .await?;
    let answer = answers.into_inner().message().await?;
    match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ErrorResponse(error)) => Err(Status::new(
            Code::from(error.error_code),
            error.error_message,
        )),
        Some(answer) => Ok(answer),
        None => Err(Status::internal("it has answered nothing")),
    }
}

fn services(answer: MessageResponse) -> Result<String, Status> {
    let MessageResponse::ListServicesResponse(list) = answer else {
        return Err(another_answer());
    };
    let mut names: Vec<_> = list
        .service
        .iter()
        .map(|service| escaped(service.name.as_bytes()))
        .collect();
    names.sort_unstable();
    Ok(names
        .iter()
        .fold(String::new(), |text, name| text + name + "\n"))
}

/// The methods of a service, each as a policy names it, with what goes in and what comes out.
fn methods(answer: MessageResponse, service: &str) -> Result<String, Status> {
    let MessageResponse::FileDescriptorResponse(files) = answer else {
        return Err(another_answer());
    };
    for file in files.file_descriptor_proto {
        let file = FileDescriptorProto::decode(file.as_slice())
            .map_err(|_| Status::internal("its description cannot be read"))?;
        let package = file.package();
        for described in &file.service {
            let name = match package {
                "" => described.name().to_owned(),
                package => format!("{package}.{}", described.name()),
            };
            if name == service {
                return Ok(described
                    .method
                    .iter()
                    .fold(String::new(), |mut text, method| {
                        let _ = writeln!(text, "{}", line(&name, method));
                        text
                    }));
            }
        }
    }
    Err(Status::not_found(format!(
        "it describes no service {service}; --grpc-list shows its services"
    )))
}

fn line(service: &str, method: &MethodDescriptorProto) -> String {
    let side = |message: &str, streams: bool| {
        let message = message.strip_prefix('.').unwrap_or(message);
        format!("{}{message}", if streams { "stream " } else { "" })
    };
    let line = format!(
        "{service}/{} ({}) returns ({})",
        method.name(),
        side(method.input_type(), method.client_streaming()),
        side(method.output_type(), method.server_streaming()),
    );
    escaped(line.as_bytes())
}

fn another_answer() -> Status {
    Status::internal("it has answered another question")
}
