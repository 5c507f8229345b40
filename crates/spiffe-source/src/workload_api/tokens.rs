use std::pin::Pin;
use std::time::Duration;

use http::uri::PathAndQuery;
use spiffe_peer::SpiffeId;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::client::Client;
use super::messages::{JwtSvidRequest, JwtSvidResponse};
use crate::error::{ConnectError, Failure};
use crate::jwt::{IssuedJwtSvid, JwtAuthority};

/// How long the agent may take for a token.
const ANSWER: Duration = Duration::from_secs(10);

impl JwtAuthority for Client {
    fn fetch<'a>(
        &'a self,
        audiences: &'a [String],
        id: Option<&'a SpiffeId>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<IssuedJwtSvid>, ConnectError>> + Send + 'a>> {
        Box::pin(async move {
            let question = JwtSvidRequest {
                audience: audiences.to_vec(),
                spiffe_id: id.map(SpiffeId::to_string).unwrap_or_default(),
            };
            let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchJWTSVID");
            let answer = timeout(ANSWER, self.ask(path, question))
                .await
                .unwrap_or(Err(Failure::Hung(ANSWER)));
            let answer: JwtSvidResponse = answer?;
            let issued = answer.svids.into_iter().map(|svid| IssuedJwtSvid {
                spiffe_id: svid.spiffe_id,
                token: Zeroizing::new(svid.svid),
                hint: Some(svid.hint).filter(|hint| !hint.is_empty()),
            });
            Ok(issued.collect())
        })
    }
}
