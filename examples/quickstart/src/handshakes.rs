//! Why the server refused handshakes, from its log. The peers get an alert that does not say.

use std::fmt::Debug;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

const LOGGED_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Reasons(UnboundedReceiver<String>);

impl Reasons {
    /// A layer that listens to the log, and what it hears.
    pub(crate) fn listen() -> (Listener, Self) {
        let (reasons, heard) = unbounded_channel();
        (Listener(reasons), Self(heard))
    }

    pub(crate) async fn next(&mut self) -> String {
        let next = tokio::time::timeout(LOGGED_WITHIN, self.0.recv()).await;
        next.ok()
            .flatten()
            .unwrap_or_else(|| "unknown: the server has logged nothing".to_owned())
    }
}

pub(crate) struct Listener(UnboundedSender<String>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "spiffe_acceptor" {
            event.record(&mut ReasonField(&self.0));
        }
    }
}

struct ReasonField<'l>(&'l UnboundedSender<String>);

impl Visit for ReasonField<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "reason" {
            // Nobody listens any more once the table is printed.
            let _ = self.0.send(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
