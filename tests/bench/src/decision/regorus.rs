//! `regorus`: the grants are data, found by the caller; evaluated by its interpreter and by its
//! virtual machine.

use std::collections::BTreeMap;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{CompiledPolicy, Engine as Rego, Value};
use serde_json::{Map, json};

use super::{Asked, Caller, Engine, Failure, Grant, Route};

/// How paths are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// With a glob.
    Glob,
    /// By what they begin with.
    Prefix,
}

const GLOB: &str = r#"
package bench

default allow := false

allow if {
    some key in input.keys
    some grant in data.grants[key]
    grant.method == input.method
    glob.match(grant.glob, ["/"], input.path)
}
"#;

const PREFIX: &str = r#"
package bench

default allow := false

allow if {
    some key in input.keys
    data.paths[key][input.path] == input.method
}

allow if {
    some key in input.keys
    some grant in data.prefixes[key]
    grant.method == input.method
    startswith(input.path, grant.prefix)
    not contains(trim_prefix(input.path, grant.prefix), "/")
}
"#;

const ALLOW: &str = "data.bench.allow";

/// A compiled policy with its data.
pub struct Regorus {
    policy: CompiledPolicy,
    data: Value,
}

impl Regorus {
    /// Loads the data and compiles the rules.
    ///
    /// # Errors
    ///
    /// Where regorus refuses either.
    pub fn load(policy: &[Grant], paths: Paths) -> Result<Self, Failure> {
        let mut engine = Rego::new();
        let rules = match paths {
            Paths::Glob => GLOB,
            Paths::Prefix => PREFIX,
        };
        engine.add_policy("bench.rego".to_owned(), rules.to_owned())?;
        let data = Value::from_json_str(&data(policy, paths).to_string())?;
        engine.add_data(data.clone())?;
        Ok(Self {
            policy: engine.compile_with_entrypoint(&ALLOW.into())?,
            data,
        })
    }

    /// Takes the requests, for the interpreter.
    ///
    /// # Errors
    ///
    /// Where regorus refuses a key.
    pub fn interpreter(self, requests: &[Asked]) -> Result<impl Engine + use<>, Failure> {
        Ok(Interpreter {
            policy: self.policy,
            requests: Inputs::new(requests)?,
        })
    }

    /// Takes the requests, for the virtual machine.
    ///
    /// # Errors
    ///
    /// Where the rules cannot be compiled, or regorus refuses a key.
    pub fn machine(self, requests: &[Asked]) -> Result<impl Engine + use<>, Failure> {
        let program = Compiler::compile_from_policy(&self.policy, &[ALLOW])?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_data(self.data)?;
        Ok(Machine {
            machine,
            requests: Inputs::new(requests)?,
        })
    }
}

struct Interpreter {
    policy: CompiledPolicy,
    requests: Inputs,
}

impl Engine for Interpreter {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        let input = self.requests.input(request);
        Ok(*self.policy.eval_with_input(input)?.as_bool()?)
    }
}

struct Machine {
    machine: RegoVM,
    requests: Inputs,
}

impl Engine for Machine {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        self.machine.set_input(self.requests.input(request));
        Ok(*self.machine.execute()?.as_bool()?)
    }
}

/// Requests, and the keys under which their caller may have grants, known with its connection.
struct Inputs {
    /// `keys`, `method`, `path`
    names: [Value; 3],
    requests: Vec<(Value, Asked)>,
}

impl Inputs {
    fn new(requests: &[Asked]) -> Result<Self, Failure> {
        let with_keys = |request: &Asked| {
            let mut keys = vec![request.caller.as_str()];
            keys.extend(request.caller.rsplit_once("/sa/").map(|(prefix, _)| prefix));
            let keys = Value::from_json_str(&json!(keys).to_string())?;
            Ok::<_, Failure>((keys, request.clone()))
        };
        Ok(Self {
            names: ["keys", "method", "path"].map(Value::from),
            requests: requests.iter().map(with_keys).collect::<Result<_, _>>()?,
        })
    }

    fn input(&self, request: usize) -> Value {
        let (keys, asked) = &self.requests[request];
        let [names_keys, method, path] = self.names.clone();
        Value::from(BTreeMap::from([
            (names_keys, keys.clone()),
            (method, Value::from(asked.method)),
            (path, Value::from(asked.path.as_str())),
        ]))
    }
}

fn data(policy: &[Grant], paths: Paths) -> serde_json::Value {
    let mut globs = BTreeMap::<&str, Vec<_>>::new();
    let mut exact = BTreeMap::<&str, Map<_, _>>::new();
    let mut prefixes = BTreeMap::<&str, Vec<_>>::new();
    for grant in policy {
        let (Caller::Exact(key) | Caller::Below(key)) = &grant.caller;
        let method = grant.method;
        match (&grant.route, paths) {
            (Route::Exact(path), Paths::Glob) => {
                let glob = json!({ "method": method, "glob": path });
                globs.entry(key).or_default().push(glob);
            }
            (Route::AndOneSegment(prefix), Paths::Glob) => {
                let glob = json!({ "method": method, "glob": format!("{prefix}*") });
                globs.entry(key).or_default().push(glob);
            }
            (Route::Exact(path), Paths::Prefix) => {
                let paths = exact.entry(key).or_default();
                paths.insert(path.clone(), json!(method));
            }
            (Route::AndOneSegment(prefix), Paths::Prefix) => {
                let prefix = json!({ "method": method, "prefix": prefix });
                prefixes.entry(key).or_default().push(prefix);
            }
        }
    }
    match paths {
        Paths::Glob => json!({ "grants": globs }),
        Paths::Prefix => json!({ "paths": exact, "prefixes": prefixes }),
    }
}
