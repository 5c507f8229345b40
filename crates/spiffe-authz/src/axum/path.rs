use crate::canonical;

/// Checks the path of a route: literals, `{name}` for one whole segment, `{*name}` for the rest.
///
/// What axum answers with a panic is an error here, and so is a path that no canonical request meets.
pub(super) fn check_route(path: &str) -> Result<(), String> {
    let Some(segments) = path.strip_prefix('/') else {
        return Err("a path begins with `/`".to_owned());
    };
    let mut names = Vec::new();
    let mut filled = String::new();
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        filled.push('/');
        let Some(capture) = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            check_literal(segment)?;
            filled.push_str(segment);
            continue;
        };
        let name = match capture.strip_prefix('*') {
            Some(_) if segments.peek().is_some() => {
                return Err(format!("`{segment}` stands at the end only"));
            }
            Some(name) => name,
            None => capture,
        };
        if !is_name(name) {
            return Err(format!(
                "`{segment}`: a name in braces is letters, digits and `_`, and does not begin with a digit"
            ));
        }
        if names.contains(&name) {
            return Err(format!("`{name}` names two segments"));
        }
        names.push(name);
        filled.push('x');
    }
    canonical::check_path(&filled).map_err(|why| format!("no request can meet it: {why}"))
}

/// Checks the path under which something is mounted, or a router is nested.
pub(super) fn check_prefix(path: &str) -> Result<(), String> {
    if path == "/" {
        return Err("it takes a path below `/`; use `merge`, or a `fallback`".to_owned());
    }
    if path.contains("{*") {
        return Err("`{*name}` has no place in a prefix".to_owned());
    }
    check_route(path)
}

/// The path of a route below a prefix.
pub(super) fn join(prefix: &str, path: &str) -> String {
    if path == "/" {
        prefix.to_owned()
    } else {
        format!("{prefix}{path}")
    }
}

fn check_literal(segment: &str) -> Result<(), String> {
    if segment.contains(['{', '}']) {
        return Err(format!(
            "`{segment}`: a capture is a whole segment, `{{name}}` or `{{*name}}`"
        ));
    }
    if segment.starts_with([':', '*']) {
        return Err(format!(
            "`{segment}`: a capture is written `{{name}}`, the rest of a path `{{*name}}`"
        ));
    }
    if !segment.is_ascii() {
        return Err(format!(
            "`{segment}`: clients send this encoded, and the router compares it as it is sent: write `%XX`"
        ));
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_a_route_may_have() {
        for path in [
            "/",
            "/orders",
            "/orders/{id}",
            "/{a}/{b}",
            "/files/{*rest}",
            "/{*rest}",
            "/a%20b",
            "/pkg.Svc/Method",
            "/a:b",
        ] {
            assert_eq!(check_route(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_axum_panics_about_or_that_nothing_meets() {
        for path in [
            "",
            "orders",
            "{id}",
            "*",
            "/orders/",
            "//",
            "/a//b",
            "/:id",
            "/*rest",
            "/{*rest}/x",
            "/{}",
            "/{*}",
            "/{1a}",
            "/{a b}",
            "/{a}/{a}",
            "/x{id}",
            "/{id}.png",
            "/{{id}}",
            "/}",
            "/{",
            "/{a",
            "/a/../b",
            "/.",
            "/a;b",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\\b",
            "/%",
            "/%2f",
            "/ü",
        ] {
            assert!(check_route(path).is_err(), "{path} was accepted");
        }
        for path in ["/", "", "/a/", "/a/{*rest}", "/{*rest}"] {
            assert!(
                check_prefix(path).is_err(),
                "{path} was accepted as a prefix"
            );
        }
        assert_eq!(check_prefix("/v1/{tenant}"), Ok(()));
    }
}
