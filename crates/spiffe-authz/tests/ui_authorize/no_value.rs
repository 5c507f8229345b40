use spiffe_authz::authorize;

trait Orders {
    fn create(&self);
    fn create_many(&self);
}

struct OrdersServer<T>(T);

impl<T> tonic::server::NamedService for OrdersServer<T> {
    const NAME: &'static str = "shop.v1.Orders";
}

struct Service;

#[authorize(OrdersServer)]
impl Orders for Service {
    #[permit(principal =)]
    fn create(&self) {}

    #[permit("spiffe://example.org/service/payment-processor")]
    fn create_many(&self) {}
}

fn main() {}
