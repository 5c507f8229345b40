use spiffe_authz::authorize;

trait Orders {
    fn create(&self);
    fn create_many(&self);
    fn list(&self);
    fn take(&self);
}

const CLERK: &str = "spiffe://example.org/service/clerk";

struct OrdersServer<T>(T);

impl<T> tonic::server::NamedService for OrdersServer<T> {
    const NAME: &'static str = "shop.v1.Orders";
}

struct Service;

#[authorize(OrdersServer)]
impl Orders for Service {
    #[permit(autenticated, because = "a slip of the pen")]
    fn create(&self) {}

    #[permit(nobody)]
    fn create_many(&self) {}

    #[permit(any, because = "half a word")]
    fn list(&self) {}

    #[permit(CLERK)]
    fn take(&self) {}
}

fn main() {}
