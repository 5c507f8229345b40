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

trait Streams {
    type Watched;
    fn watch(&self);
}

#[authorize(OrdersServer)]
impl Streams for Service {
    #[permit(policy)]
    type Watched = ();

    #[permit(policy)]
    fn watch(&self) {}
}

fn main() {}
