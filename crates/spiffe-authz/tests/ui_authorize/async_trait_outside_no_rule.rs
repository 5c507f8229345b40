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

#[tonic::async_trait]
trait Later {
    async fn create(&self);
}

#[tonic::async_trait]
#[authorize(OrdersServer)]
impl Later for Service {
    async fn create(&self) {}
}

fn main() {}
