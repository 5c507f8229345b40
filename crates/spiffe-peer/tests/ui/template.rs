use spiffe_peer::SpiffePath;

#[derive(SpiffePath)]
struct WithoutTemplate {
    name: String,
}

#[derive(SpiffePath)]
#[spiffe(name)]
struct NoText {
    name: String,
}

#[derive(SpiffePath)]
#[spiffe("ns/{name}")]
struct NoPath {
    name: String,
}

#[derive(SpiffePath)]
#[spiffe("/ns/*/sa/{name}")]
struct WithoutName {
    name: String,
}

fn main() {}
