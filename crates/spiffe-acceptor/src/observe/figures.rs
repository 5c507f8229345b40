//! The figures, through the `metrics` facade. Their names are those of the crate's documentation.

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::attempt::Handshake;
use crate::ending::Reason;
use crate::error::HandshakeError;

/// Names every figure, and begins every counter whose labels are known at zero: an alert on an
/// increase sees no first event of a counter that begins with it.
pub(super) fn begin() {
    describe_counter!(
        "spiffe_handshakes_total",
        "Handshakes by what became of them"
    );
    describe_histogram!(
        "spiffe_handshake_duration_seconds",
        Unit::Seconds,
        "From the first byte awaited to the verdict"
    );
    describe_gauge!(
        "spiffe_connections_open",
        "Connections whose handshake is done and that are not closed"
    );
    describe_counter!(
        "spiffe_connections_closed_total",
        "Connections by why they have ended"
    );
    for reason in ["full", "resumed"] {
        counter!("spiffe_handshakes_total", "result" => "accepted", "reason" => reason)
            .increment(0);
    }
    for reason in HandshakeError::reasons() {
        counter!("spiffe_handshakes_total", "result" => "refused", "reason" => reason).increment(0);
    }
    for reason in Reason::all() {
        counter!("spiffe_connections_closed_total", "reason" => reason.as_str()).increment(0);
    }
    gauge!("spiffe_connections_open").increment(0.0);
}

pub(super) fn handshake(handshake: &Handshake<'_>) {
    let (result, reason) = (handshake.result(), handshake.reason());
    counter!("spiffe_handshakes_total", "result" => result, "reason" => reason).increment(1);
    histogram!("spiffe_handshake_duration_seconds", "result" => result)
        .record(handshake.took().as_secs_f64());
}

pub(super) fn opened() {
    gauge!("spiffe_connections_open").increment(1.0);
}

pub(super) fn closed(reason: Reason) {
    gauge!("spiffe_connections_open").decrement(1.0);
    counter!("spiffe_connections_closed_total", "reason" => reason.as_str()).increment(1);
}
