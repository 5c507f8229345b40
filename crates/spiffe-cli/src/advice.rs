use spiffe_connector::ConnectError;

/// What to look at first where there is no connection.
pub(crate) fn of(error: &ConnectError) -> &'static str {
    if error.unexpected_server().is_some() {
        "either the wrong server answers, or the wrong ID is expected"
    } else if error.chain().is_some() {
        "name its trust domain with --trust, or look at what issued its SVID"
    } else if error.is_unreachable() {
        "is it running, and is the port right?"
    } else if error.is_timeout() {
        "something between the two drops packets, or the server is overloaded"
    } else {
        "the server's log says more"
    }
}
