use spiffe_peer::SpiffePath;

#[derive(SpiffePath)]
#[spiffe("/ns/{namespace}/sa/{name}")]
struct NameWithoutField {
    name: String,
}

#[derive(SpiffePath)]
#[spiffe("/sa/{name}")]
struct FieldWithoutName {
    name: String,
    namespace: String,
}

#[derive(SpiffePath)]
#[spiffe("/sa/{name}")]
struct Tuple(String);

#[derive(SpiffePath)]
#[spiffe("/sa/{name}")]
enum Choice {
    One,
}

#[derive(SpiffePath)]
#[spiffe("/sa/{name}")]
struct Generic<T> {
    name: T,
}

fn main() {}
