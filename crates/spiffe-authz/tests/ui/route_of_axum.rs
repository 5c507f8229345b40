use spiffe_authz::axum::Router;

async fn orders() -> &'static str {
    "all of them"
}

fn main() {
    let _ = Router::<()>::new().route("/orders", axum::routing::get(orders)).build();
}
