//! What a Workload API offers, as the bytes of its messages.

use std::collections::HashMap;

use prost::Message as _;
use prost::bytes::Bytes;
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_source::workload_api::messages::{X509Svid, X509SvidResponse};

/// The own SVID's.
pub const ID: &str = "spiffe://example.org/service/orders";

/// Two messages that say different things, to be sent in turns: the own SVID has been rotated in
/// between, the bundles are the same.
pub struct Offer {
    /// The messages.
    pub messages: [Bytes; 2],
    /// The leaf in each.
    pub leaves: [Vec<u8>; 2],
    /// The foreign trust domains in both.
    pub foreign: Vec<String>,
}

impl Offer {
    /// One with the bundles of so many foreign trust domains.
    ///
    /// # Errors
    ///
    /// Where an authority cannot be made.
    pub fn new(foreign: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let own = Authority::new("example.org")?;
        let foreign: Vec<String> = (0..foreign)
            .map(|number| format!("partner-{number}.test"))
            .collect();
        let mut bundles = HashMap::new();
        for name in &foreign {
            let bundle = Bytes::from(Authority::new(name)?.bundle_der());
            bundles.insert(format!("spiffe://{name}"), bundle);
        }
        let (first, first_leaf) = message(&own, &bundles)?;
        let (second, second_leaf) = message(&own, &bundles)?;
        Ok(Self {
            messages: [first, second],
            leaves: [first_leaf, second_leaf],
            foreign,
        })
    }
}

fn message(
    own: &Authority,
    foreign: &HashMap<String, Bytes>,
) -> Result<(Bytes, Vec<u8>), Box<dyn std::error::Error>> {
    let issued = own.issue(&IssueSpec::new(ID)?)?;
    let message = X509SvidResponse {
        svids: vec![X509Svid {
            spiffe_id: ID.to_owned(),
            x509_svid: issued.chain_der().into(),
            x509_svid_key: issued.key_der().to_vec().into(),
            bundle: own.bundle_der().into(),
            hint: String::new(),
        }],
        crl: Vec::new(),
        federated_bundles: foreign.clone(),
    };
    let leaf = issued.chain().first().cloned().unwrap_or_default();
    Ok((message.encode_to_vec().into(), leaf))
}
