use spiffe_peer::pattern;

fn main() {
    pattern!("spiffe://example.org/ns/pay*");
    pattern!("spiffe://*/ns/payments");
    pattern!("example.org/ns/payments");
    pattern!("spiffe://example.org");
    pattern!("spiffe://example.org/ns/{a}/sa/{a}");
}
