//! Rules for tonic services that are written in the schema, as options of its methods.
//!
//! ```proto
//! import "spiffe/authz/v1/authz.proto";
//!
//! service Orders {
//!   rpc Create(NewOrder) returns (Order) {
//!     option (spiffe.authz.v1.permit) = { id: "spiffe://example.org/service/payment-processor" };
//!   }
//!   rpc List(Everything) returns (stream Order) {
//!     option (spiffe.authz.v1.permit) = { authenticated_because: "any workload may list orders" };
//!   }
//! }
//! ```
//!
//! The build script makes a table of them, and fails where a method has no option. It needs the schema as a
//! descriptor set with [`INCLUDE`] among the directories, whoever compiles it: `protoc -o`, or `protox`,
//! which needs no `protoc`:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let schema = protox::Compiler::new(["proto", spiffe_authz_build::INCLUDE])?
//!     .include_imports(true)
//!     .open_file("orders.proto")?
//!     .encode_file_descriptor_set();
//! spiffe_authz_build::Rules::new().write(&schema, "orders_rules.rs")?;
//! # Ok(())
//! # }
//! ```
//!
//! It has to be these bytes: the descriptor types of `prost-types`, through which `compile_fds` goes, drop
//! options that they do not know.
//!
//! A reflection service that is given these bytes tells its callers the rules as well; give it those that
//! `prost-types` writes.
//!
//! In the program, the table guards the service (`ORDERS`, after its name):
//!
//! ```ignore
//! include!(concat!(env!("OUT_DIR"), "/orders_rules.rs"));
//!
//! let app = spiffe_authz::axum::Router::new().grpc(OrdersServer::new(service), ORDERS).bind(policy)?;
//! ```
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `policy` | `Rules::policy_file`: methods without an option that a policy file covers are left to it. It brings `spiffe-authz` into the build script |

mod covered;
mod error;
mod rule;
mod schema;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prost::Message;

pub use error::Error;

use covered::Cover;
use schema::{FILE, File, FileSet, Method, NUMBER, OPTION, Service, join};

/// The directory that holds `spiffe/authz/v1/authz.proto`, for the compiler of the schema.
pub const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

/// Makes tables of rules from a schema. See the [crate].
///
/// ```
/// let schema = protox::Compiler::new([spiffe_authz_build::INCLUDE])?
///     .open_file("spiffe/authz/v1/authz.proto")?
///     .encode_file_descriptor_set();
/// let code = spiffe_authz_build::Rules::new().generate(&schema)?;
/// assert!(!code.contains("ServiceRules"), "it has no service");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "rules are made by `generate` or `write`"]
pub struct Rules {
    services: Option<Vec<String>>,
    cover: Cover,
    files: Vec<PathBuf>,
}

impl Rules {
    /// For every service of the schema.
    pub fn new() -> Self {
        Self::default()
    }

    /// For this service (`package.Service`) and others that are named so, and for no other.
    pub fn service(mut self, name: &str) -> Self {
        self.services.get_or_insert_default().push(name.to_owned());
        self
    }

    /// Leaves the methods without an option to a policy, as far as it allows anybody to call them. The
    /// build script runs again when the file changes; Cargo then no longer watches the whole package, so
    /// say `cargo::rerun-if-changed` of the schema as well.
    ///
    /// # Errors
    ///
    /// [`Error`] where the file is no policy.
    #[cfg(feature = "policy")]
    pub fn policy_file(mut self, file: impl AsRef<Path>) -> Result<Self, Error> {
        let file = file.as_ref();
        let policy =
            spiffe_authz::Policy::from_path(file).map_err(|error| Error::one(error.to_string()))?;
        self.cover = Cover::policy(policy);
        self.files.push(file.to_owned());
        Ok(self)
    }

    /// The code of the tables: a `pub const` of type `spiffe_authz::grpc::ServiceRules` for each service,
    /// named after it.
    ///
    /// # Errors
    ///
    /// [`Error`] with every method that has no rule or one that cannot be, with file, service and method;
    /// with every option of another name that has the number of ours; or where the bytes are no descriptor
    /// set or have lost their options, a service that is asked for is not in it, or two services
    /// come to one name.
    pub fn generate(&self, descriptor_set: &[u8]) -> Result<String, Error> {
        let set = FileSet::decode(descriptor_set)
            .map_err(|error| Error::one(format!("this is no descriptor set: {error}")))?;
        let mut tables = Tables {
            cover: &self.cover,
            code: String::new(),
            names: Vec::new(),
            problems: Vec::new(),
        };
        let mut missing = self.services.clone().unwrap_or_default();
        for file in &set.files {
            tables.problems.extend(impostors(file));
            let mut asked = false;
            for service in &file.services {
                let full = join(&file.package, &service.name);
                missing.retain(|wanted| *wanted != full);
                let wanted = self.services.as_ref();
                if wanted.is_none_or(|wanted| wanted.contains(&full)) {
                    tables.add(file, service, &full)?;
                    asked = true;
                }
            }
            if asked && file.imports_option() && !file.has_options() {
                tables.problems.push(without_options(file));
            }
        }
        for missing in missing {
            tables
                .problems
                .push(format!("the schema has no service `{missing}`"));
        }
        if tables.problems.is_empty() {
            Ok(tables.code)
        } else {
            Err(Error::new(tables.problems))
        }
    }

    /// Writes that code to a file in the directory `OUT_DIR` of the build script.
    ///
    /// # Errors
    ///
    /// As with [`generate`](Self::generate), and where the file cannot be written.
    #[allow(
        clippy::print_stdout,
        reason = "this is how a build script speaks to Cargo"
    )]
    pub fn write(&self, descriptor_set: &[u8], file: &str) -> Result<(), Error> {
        for file in &self.files {
            println!("cargo::rerun-if-changed={}", file.display());
        }
        let code = self.generate(descriptor_set)?;
        let directory = std::env::var_os("OUT_DIR").ok_or_else(|| {
            Error::one("there is no OUT_DIR: call this from a build script".to_owned())
        })?;
        let path = Path::new(&directory).join(file);
        std::fs::write(&path, code)
            .map_err(|error| Error::one(format!("cannot write {}: {error}", path.display())))
    }
}

struct Tables<'r> {
    cover: &'r Cover,
    code: String,
    names: Vec<String>,
    problems: Vec<String>,
}

impl Tables<'_> {
    fn add(&mut self, file: &File, service: &Service, full: &str) -> Result<(), Error> {
        let mut rpcs = String::new();
        for method in &service.methods {
            match permit(self.cover, method, full)? {
                Ok(permit) => {
                    // Writing to a text cannot fail.
                    let _ = writeln!(
                        rpcs,
                        "    ::spiffe_authz::grpc::RpcRule::new({:?}, {permit}),",
                        method.name
                    );
                }
                Err(problems) => self.problems.extend(
                    problems
                        .into_iter()
                        .map(|problem| format!("{}: {full}/{}: {problem}", file.name, method.name)),
                ),
            }
        }
        let name = constant(&service.name);
        if self.names.contains(&name) {
            self.problems.push(format!(
                "{}: {full}: there are two services for a table `{name}`: name one with `service`",
                file.name
            ));
        }
        let _ = writeln!(
            self.code,
            "/// Who may call the RPCs of `{full}`, as `{}` says.\n\
             #[allow(unreachable_pub, reason = \"generated: it depends on the module\")]\n\
             pub const {name}: ::spiffe_authz::grpc::ServiceRules = ::spiffe_authz::grpc::ServiceRules::new({full:?}, &[\n{rpcs}]);",
            file.name
        );
        self.names.push(name);
        Ok(())
    }
}

fn permit(
    cover: &Cover,
    method: &Method,
    service: &str,
) -> Result<Result<String, Vec<String>>, Error> {
    let option = method.options.as_ref();
    Ok(match option.and_then(schema::Options::permit) {
        Some(Ok(permit)) => rule::value(&permit),
        Some(Err(problem)) => Err(vec![problem]),
        None if cover.covers(&format!("/{service}/{}", method.name))? => Ok(rule::by_policy()),
        None => Err(vec![rule::missing()]),
    })
}

fn impostors(file: &File) -> impl Iterator<Item = String> {
    file.impostors().into_iter().map(|name| {
        format!(
            "{}: the option `{name}` has the number {NUMBER}, which is that of `{OPTION}`: give it another",
            file.name
        )
    })
}

fn without_options(file: &File) -> String {
    format!(
        "{}: it imports `{FILE}`, and no method has the option: give the descriptor set as its compiler wrote it, since usual readers drop options, or take the import out",
        file.name
    )
}

/// `OrderBook` as `ORDER_BOOK`.
fn constant(name: &str) -> String {
    let mut constant = String::new();
    let mut before_is_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before_is_small {
            constant.push('_');
        }
        before_is_small = !letter.is_ascii_uppercase() && letter != '_';
        constant.push(letter.to_ascii_uppercase());
    }
    constant
}
