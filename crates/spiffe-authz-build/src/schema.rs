//! As much of a descriptor set as is needed here, with the option that usual readers drop.

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

/// Where the option is defined, and by what it is known in a descriptor set.
pub(crate) const FILE: &str = "spiffe/authz/v1/authz.proto";
pub(crate) const OPTION: &str = "spiffe.authz.v1.permit";
pub(crate) const NUMBER: i32 = 77133;

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
    #[prost(string, repeated, tag = "3")]
    pub(crate) imports: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Kind>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) services: Vec<Service>,
    #[prost(message, repeated, tag = "7")]
    extensions: Vec<Extension>,
}

impl File {
    /// Options of methods that have the number of ours, and are others.
    pub(crate) fn impostors(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.package, &self.extensions, &self.messages, &mut found);
        found.retain(|name| name != OPTION);
        found
    }

    /// Whether it knows of our option.
    pub(crate) fn imports_option(&self) -> bool {
        self.imports.iter().any(|file| file == FILE)
    }

    pub(crate) fn has_options(&self) -> bool {
        let methods = self.services.iter().flat_map(|service| &service.methods);
        let mut options = methods.filter_map(|method| method.options.as_ref());
        options.any(|options| !options.permits.is_empty())
    }
}

/// As deep as the reader of messages goes.
fn collect(scope: &str, extensions: &[Extension], kinds: &[Kind], found: &mut Vec<String>) {
    let ours = extensions.iter().filter(|extension| extension.is_ours());
    found.extend(ours.map(|extension| join(scope, &extension.name)));
    for kind in kinds {
        let scope = join(scope, &kind.name);
        collect(&scope, &kind.extensions, &kind.kinds, found);
    }
}

/// A name in a package, or in a message.
pub(crate) fn join(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        scope => format!("{scope}.{name}"),
    }
}

#[derive(Clone, PartialEq, Message)]
struct Kind {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    kinds: Vec<Self>,
    #[prost(message, repeated, tag = "6")]
    extensions: Vec<Extension>,
}

#[derive(Clone, PartialEq, Message)]
struct Extension {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    extendee: String,
    #[prost(int32, tag = "3")]
    number: i32,
}

impl Extension {
    fn is_ours(&self) -> bool {
        self.number == NUMBER && self.extendee == ".google.protobuf.MethodOptions"
    }
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
    /// A compiler may write an option in parts, which are one message together.
    #[prost(bytes = "vec", repeated, tag = "77133")]
    permits: Vec<Vec<u8>>,
}

impl Options {
    /// The rule, or why it cannot be read. One that says more than is known here is none: what it would
    /// lose might be whom it keeps out.
    pub(crate) fn permit(&self) -> Option<Result<Permit, String>> {
        (!self.permits.is_empty()).then(|| {
            let bytes = self.permits.concat();
            let unreadable = |error| format!("its rule cannot be read: {error}");
            let permit = Permit::decode(bytes.as_slice()).map_err(unreadable)?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (field, wire) = decode_key(&mut rest).map_err(unreadable)?;
                if !(1..=5).contains(&field) {
                    return Err(format!(
                        "its rule has a field {field} that is not known here: compile the schema with the `{FILE}` of this version of `spiffe-authz-build`, or use a newer one"
                    ));
                }
                skip_field(wire, field, &mut rest, DecodeContext::default()).map_err(unreadable)?;
            }
            Ok(permit)
        })
    }
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
