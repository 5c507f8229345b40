//! `casbin`, with and without its cache.

use casbin::{
    CachedApi, CachedEnforcer, CoreApi, DefaultCache, DefaultModel, Enforcer, MemoryAdapter,
    MgmtApi,
};
use tokio::runtime::{Builder, Runtime};

use super::{Asked, Caller, EACH, Engine, Failure, Grant};

/// What can be told apart most cheaply comes first.
const MODEL: &str = "
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.act == p.act && keyMatch(r.sub, p.sub) && keyMatch3(r.obj, p.obj)
";

/// An enforcer of either kind.
pub struct Casbin<E>(E);

impl Casbin<Enforcer> {
    /// Loads the policy.
    ///
    /// # Errors
    ///
    /// Where casbin refuses it.
    pub fn load(policy: &[Grant]) -> Result<Self, Failure> {
        runtime()?.block_on(async {
            let model = DefaultModel::from_str(MODEL).await?;
            let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await?;
            enforcer.add_policies(rows(policy)).await?;
            Ok(Self(enforcer))
        })
    }
}

impl Casbin<CachedEnforcer> {
    /// Loads the policy, with a cache that has room for every request there is.
    ///
    /// # Errors
    ///
    /// Where casbin refuses it.
    pub fn load(policy: &[Grant]) -> Result<Self, Failure> {
        runtime()?.block_on(async {
            let model = DefaultModel::from_str(MODEL).await?;
            let mut enforcer = CachedEnforcer::new(model, MemoryAdapter::default()).await?;
            enforcer.add_policies(rows(policy)).await?;
            enforcer.set_cache(Box::new(DefaultCache::new(EACH * 64)));
            Ok(Self(enforcer))
        })
    }
}

impl<E: CoreApi> Casbin<E> {
    /// Takes the requests.
    pub fn with(self, requests: &[Asked]) -> impl Engine + use<E> {
        WithRequests {
            enforcer: self.0,
            requests: requests.to_vec(),
        }
    }
}

struct WithRequests<E> {
    enforcer: E,
    requests: Vec<Asked>,
}

impl<E: CoreApi> Engine for WithRequests<E> {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        let request = &self.requests[request];
        let asked = (&request.caller, &request.path, request.method);
        Ok(self.enforcer.enforce(asked)?)
    }
}

fn rows(policy: &[Grant]) -> Vec<Vec<String>> {
    let row = |grant: &Grant| {
        let caller = match &grant.caller {
            Caller::Exact(exact) => exact.clone(),
            Caller::Below(prefix) => format!("{prefix}/*"),
        };
        vec![caller, grant.route.template(), grant.method.to_owned()]
    };
    policy.iter().map(row).collect()
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().build()
}
