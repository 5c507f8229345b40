use spiffe_peer::SpiffePath;

#[derive(SpiffePath)]
#[spiffe("/ns/{name}/sa/pay*")]
struct PartOfSegment {
    name: String,
}

#[derive(SpiffePath)]
#[spiffe("spiffe://Example.org/ns/{name}")]
struct UpperCaseTrustDomain {
    name: String,
}

#[derive(SpiffePath)]
#[spiffe("/ns/{name}/")]
struct EmptySegment {
    name: String,
}

fn main() {}
