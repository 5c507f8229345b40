//! As much of a descriptor set as is needed here, with the option that usual readers drop.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct File {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) package: String,
    #[prost(message, repeated, tag = "6")]
    pub(crate) services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Service {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Method {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<Options>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Options {
    #[prost(message, optional, tag = "77133")]
    pub(crate) permit: Option<Permit>,
}

/// `spiffe.authz.v1.Permit`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Permit {
    #[prost(string, repeated, tag = "1")]
    pub(crate) ids: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) principals: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) authenticated_because: String,
    #[prost(string, tag = "4")]
    pub(crate) anyone_because: String,
    #[prost(bool, tag = "5")]
    pub(crate) policy: bool,
}
