use super::*;

#[test]
fn what_is_written_is_read_again() {
    for text in [
        "status",
        "rotate svids",
        "rotate authority example.org",
        "prepare authority example.org",
        "activate authority example.org",
        "retire authority example.org",
        "withdraw spiffe://example.org/x",
        "restore spiffe://example.org/x",
        "add-bundle partner.test /tmp/a file.pem",
        "remove-bundle partner.test",
        "federate example.org partner.test",
        "pause orders",
        "hang orders",
        "error unavailable orders",
        "garbage orders",
        "huge 5000000 orders",
        "heal orders",
    ] {
        let command: Command = text.parse().unwrap();
        assert_eq!(command.to_string(), text);
        assert_eq!(command.to_string().parse(), Ok(command));
    }
}

#[test]
fn what_is_wrong_is_told_with_what_to_write() {
    for (text, told) in [
        ("withdraw", "an ID is missing; write `withdraw ID`"),
        (
            "withdraw a",
            "`a` is no SPIFFE ID: it does not begin with `spiffe://`",
        ),
        (
            "rotate authority",
            "a trust domain is missing; write `rotate authority TRUST_DOMAIN`",
        ),
        (
            "rotate authority Example.org",
            "`Example.org` is no SPIFFE ID: a trust domain is written in lower case; write `example.org`",
        ),
        (
            "add-bundle partner.test",
            "a file is missing; write `add-bundle TRUST_DOMAIN FILE`",
        ),
        (
            "huge many orders",
            "the number of bytes is from 0 to 4294967295; write `huge BYTES LISTENER`",
        ),
        (
            "heal orders now",
            "there is more than it takes; write `heal LISTENER`",
        ),
    ] {
        let error = text.parse::<Command>().unwrap_err().to_string();
        assert!(error.starts_with(told), "{text}: {error}");
    }
    let error = "error ok orders"
        .parse::<Command>()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("unavailable") && error.ends_with("write `error CODE LISTENER`"),
        "{error}"
    );
    for text in ["", "rotate", "explode", "\u{1b}[2J"] {
        let error = text.parse::<Command>().unwrap_err().to_string();
        assert!(
            FORMS.iter().all(|form| error.contains(form)) && !error.contains('\u{1b}'),
            "{error}"
        );
    }
}
