//! `cedar-policy`: a policy for each rule, and as its guide would have it, with few policies and what
//! is granted in the entities.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};

use super::{Asked, Caller, Engine, Failure, Grant, Route};

/// A router, as a service has one anyway: paths to methods.
type Routes = matchit::Router<BTreeSet<&'static str>>;

/// Policies and entities.
pub struct Cedar {
    policies: PolicySet,
    entities: Entities,
    routes: Option<Routes>,
}

/// One policy says it all: whom a route lets in is an attribute of the route.
const IDIOMATIC: &str = "permit (principal, action, resource) when {
    resource has callers && principal in resource.callers
};";

impl Cedar {
    /// Loads a policy for each rule.
    ///
    /// # Errors
    ///
    /// Where Cedar refuses one.
    pub fn load_each(policy: &[Grant]) -> Result<Self, Failure> {
        Ok(Self {
            policies: each(policy).parse()?,
            entities: Entities::empty(),
            routes: None,
        })
    }

    /// Loads the one policy, and the entities: workloads, the routes that they are granted, and for
    /// each route the group of those that may call it.
    ///
    /// # Errors
    ///
    /// Where Cedar refuses one.
    pub fn load_idiomatic(policy: &[Grant]) -> Result<Self, Failure> {
        let mut groups_of = BTreeMap::<EntityUid, HashSet<EntityUid>>::new();
        let mut groups = BTreeMap::new();
        let mut routes = BTreeMap::<String, BTreeSet<&'static str>>::new();
        for grant in policy {
            let template = grant.route.template();
            let route = format!("{} {template}", grant.method);
            let group = uid("Callers", &route)?;
            groups_of
                .entry(caller(&grant.caller)?)
                .or_default()
                .insert(group.clone());
            groups.insert(uid("Route", &route)?, group);
            routes.entry(template).or_default().insert(grant.method);
        }
        let callers = groups_of
            .into_iter()
            .map(|(caller, groups)| Ok(Entity::new_no_attrs(caller, groups)));
        let guarded = groups.into_iter().map(|(route, group)| {
            let group = RestrictedExpression::new_entity_uid(group);
            let attributes = HashMap::from([("callers".to_owned(), group)]);
            Ok::<_, Failure>(Entity::new(route, attributes, HashSet::new())?)
        });
        let entities: Vec<_> = callers.chain(guarded).collect::<Result<_, _>>()?;
        let mut router = matchit::Router::new();
        for (template, methods) in routes {
            router.insert(template, methods)?;
        }
        Ok(Self {
            policies: IDIOMATIC.parse()?,
            entities: Entities::from_entities(entities, None)?,
            routes: Some(router),
        })
    }

    /// Takes the requests. Callers that stand in a namespace join the entities with their connection.
    ///
    /// # Errors
    ///
    /// Where Cedar refuses one.
    pub fn with(self, requests: &[Asked]) -> Result<impl Engine + use<>, Failure> {
        let (mut asked, mut newcomers) = (Vec::new(), BTreeMap::new());
        for request in requests {
            let principal = uid("Workload", &request.caller)?;
            if let Some((namespace, _)) = request.caller.rsplit_once("/sa/") {
                let parents = HashSet::from([uid("Namespace", namespace)?]);
                newcomers.insert(principal.clone(), parents);
            }
            asked.push((principal, request.clone()));
        }
        let newcomers: Vec<_> = newcomers
            .into_iter()
            .filter(|(newcomer, _)| self.entities.get(newcomer).is_none())
            .map(|(newcomer, parents)| Entity::new_no_attrs(newcomer, parents))
            .collect();
        Ok(WithRequests {
            authorizer: Authorizer::new(),
            actions: ["GET", "POST"]
                .into_iter()
                .map(|method| Ok((method, uid("Action", method)?)))
                .collect::<Result<_, Failure>>()?,
            kinds: ["Path", "Route"]
                .map(str::parse)
                .into_iter()
                .collect::<Result<_, _>>()?,
            entities: self.entities.add_entities(newcomers, None)?,
            policies: self.policies,
            routes: self.routes,
            requests: asked,
        })
    }
}

struct WithRequests {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    routes: Option<Routes>,
    actions: HashMap<&'static str, EntityUid>,
    /// Of resources: a path, and a route.
    kinds: Vec<EntityTypeName>,
    requests: Vec<(EntityUid, Asked)>,
}

impl Engine for WithRequests {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        let (principal, asked) = &self.requests[request];
        let (kind, resource, context) = match &self.routes {
            None => {
                let told =
                    [("path", &asked.path), ("caller", &asked.caller)].map(|(name, value)| {
                        let value = RestrictedExpression::new_string(value.clone());
                        (name.to_owned(), value)
                    });
                (&self.kinds[0], String::new(), Context::from_pairs(told)?)
            }
            Some(routes) => {
                let route = route(routes, asked).unwrap_or_default();
                (&self.kinds[1], route, Context::empty())
            }
        };
        let request = Request::new(
            principal.clone(),
            self.actions[asked.method].clone(),
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(resource)),
            context,
            None,
        )?;
        let response = self
            .authorizer
            .is_authorized(&request, &self.policies, &self.entities);
        Ok(response.decision() == Decision::Allow)
    }
}

/// The method and the template of the route that a request meets, as the router finds them.
fn route(routes: &Routes, request: &Asked) -> Option<String> {
    let found = routes.at(&request.path).ok()?;
    if !found.value.contains(request.method) {
        return None;
    }
    let captured = found.params.get("id").map_or(0, str::len);
    let (fixed, captured) = request.path.split_at(request.path.len() - captured);
    let place = if captured.is_empty() { "" } else { "{id}" };
    Some(format!("{} {fixed}{place}", request.method))
}

fn each(policy: &[Grant]) -> String {
    let mut text = String::new();
    for grant in policy {
        let (principal, asked) = match &grant.caller {
            Caller::Exact(exact) => (format!("principal == Workload::\"{exact}\""), String::new()),
            Caller::Below(prefix) => (
                "principal".to_owned(),
                format!("context.caller like \"{prefix}/*\" && "),
            ),
        };
        let path = match &grant.route {
            Route::Exact(exact) => format!("context.path == \"{exact}\""),
            Route::AndOneSegment(prefix) => {
                format!("context.path like \"{prefix}*\" && !(context.path like \"{prefix}*/*\")")
            }
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "permit ({principal}, action == Action::\"{}\", resource) when {{ {asked}{path} }};",
            grant.method
        );
    }
    text
}

fn caller(caller: &Caller) -> Result<EntityUid, Failure> {
    match caller {
        Caller::Exact(exact) => uid("Workload", exact),
        Caller::Below(prefix) => uid("Namespace", prefix),
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Failure> {
    let kind: EntityTypeName = kind.parse()?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
