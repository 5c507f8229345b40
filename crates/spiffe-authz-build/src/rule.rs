//! What the option of one method says.

use spiffe_peer::IdPattern;

use crate::schema::Permit;

const FORMS: &str = "write one of\n    \
    option (spiffe.authz.v1.permit) = { id: \"spiffe://example.org/service/payment-processor\" };\n    \
    option (spiffe.authz.v1.permit) = { principal: \"payments\" };\n    \
    option (spiffe.authz.v1.permit) = { authenticated_because: \"…\" };\n    \
    option (spiffe.authz.v1.permit) = { anyone_because: \"…\" };\n    \
    option (spiffe.authz.v1.permit) = { policy: true };";

/// The value of `spiffe_authz::grpc::Permit`, as Rust writes it; or everything that is wrong.
pub(crate) fn value(permit: &Permit) -> Result<String, Vec<String>> {
    let names_callers = !permit.ids.is_empty() || !permit.principals.is_empty();
    let authenticated = !permit.authenticated_because.is_empty();
    let anyone = !permit.anyone_because.is_empty();
    let kinds = [names_callers, authenticated, anyone, permit.policy];
    match kinds.iter().filter(|said| **said).count() {
        0 => return Err(vec![format!("its rule names nobody; {FORMS}")]),
        1 => {}
        _ => {
            return Err(vec![format!(
                "its rule either names callers or gives one of the reasons or is left to the policy; {FORMS}"
            )]);
        }
    }
    let mut problems = Vec::new();
    for id in &permit.ids {
        if let Err(error) = id.parse::<IdPattern>() {
            problems.push(error.to_string());
        }
    }
    if permit.principals.iter().any(|name| is_blank(name)) {
        problems.push("a principal has a name: write the one that the policy gives it".to_owned());
    }
    let reason = if authenticated {
        &permit.authenticated_because
    } else {
        &permit.anyone_because
    };
    if (authenticated || anyone) && is_blank(reason) {
        problems.push(
            "the reason is blank: write in words why no particular caller is asked for".to_owned(),
        );
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    const PERMIT: &str = "::spiffe_authz::grpc::Permit";
    Ok(if permit.policy {
        by_policy()
    } else if authenticated {
        format!("{PERMIT}::Authenticated {{ because: {reason:?} }}")
    } else if anyone {
        format!("{PERMIT}::Anyone {{ because: {reason:?} }}")
    } else {
        let (ids, principals) = (&permit.ids, &permit.principals);
        format!("{PERMIT}::Callers {{ ids: &{ids:?}, principals: &{principals:?} }}")
    })
}

pub(crate) fn by_policy() -> String {
    "::spiffe_authz::grpc::Permit::Policy".to_owned()
}

pub(crate) fn missing() -> String {
    format!("it has no rule that says who may call it; {FORMS}")
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
