use spiffe_authz::axum::{Router, get};

async fn orders() -> &'static str {
    "all of them"
}

fn main() {
    let _ = Router::<()>::new().route("/orders", get(orders)).build();
}
