use std::sync::Arc;
use std::time::SystemTime;

use spiffe_devkit::{Authority, IssueSpec};
use spiffe_peer::parse;
use spiffe_verify::{Purpose, VerifiedChain, X509Bundle, X509Verifier};

use super::list::{MAX_ENTRIES, MAX_PATTERNS};
use super::*;

mod reading;

const ID: &str = "spiffe://example.org/service/orders";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn chain(authority: &Authority, id: &str) -> VerifiedChain {
    let issued = authority.issue(&IssueSpec::new(id).unwrap()).unwrap();
    let bundle =
        X509Bundle::from_der(authority.trust_domain().clone(), &authority.bundle_der()).unwrap();
    X509Verifier::new(&spiffe_verify::default_provider().unwrap())
        .verify(
            issued.chain(),
            Purpose::Client,
            |_| Some(&bundle),
            SystemTime::now(),
        )
        .unwrap()
}

fn authority() -> Authority {
    Authority::new("example.org").unwrap()
}

fn list(text: &str) -> Result<DenyList, InvalidDenyList> {
    format!("{text}\nend").parse()
}

#[test]
fn an_id_is_denied_by_itself_or_by_a_pattern_and_no_other_id_is() {
    let named = |list: &DenyList, id: &str| list.denies_id(&parse::workload_id(id).unwrap());
    let by_id = DenyList::new().id(ID).unwrap();
    let by_pattern = DenyList::new()
        .pattern("spiffe://example.org/service/*")
        .unwrap();
    let by_domain = DenyList::new().pattern("spiffe://example.org/**").unwrap();
    for (list, denied, other) in [
        (by_id, ID, "spiffe://example.org/service/orders-2"),
        (by_pattern, ID, "spiffe://example.org/service/orders/x"),
        (by_domain, ID, "spiffe://example.org.evil/service/orders"),
    ] {
        assert!(named(&list, denied), "{list:?}");
        assert!(!named(&list, other), "{list:?} denies {other}");
    }
    assert!(!named(&DenyList::new(), ID), "nobody is denied by nothing");
}

#[test]
fn each_kind_of_entry_denies_a_chain_and_says_so() {
    let authority = authority();
    let (chain, sibling) = (chain(&authority, ID), chain(&authority, ID));
    let stranger = chain_of_another_authority();
    let [leaf, intermediate] = {
        let both: Vec<_> = chain.certificates().collect();
        <[_; 2]>::try_from(both).unwrap()
    };
    let key = leaf.key_sha256();
    let issuer_key = intermediate.key_sha256();
    for (text, denies_sibling) in [
        (ID.to_owned(), true),
        ("spiffe://example.org/service/{name}".to_owned(), true),
        (format!("serial:{}", leaf.serial()), false),
        (format!("serial:{}", intermediate.serial()), true),
        (format!("key-sha256:{key}"), false),
        (format!("key-sha256:{issuer_key}"), true),
    ] {
        let list = list(&text).unwrap();
        let entry = list.denies(&chain).map(|entry| entry.to_string());
        assert_eq!(entry.as_deref(), Some(&*text));
        assert_eq!(list.denies(&sibling).is_some(), denies_sibling, "{text}");
        assert!(list.denies(&stranger).is_none(), "{text} denies a stranger");
    }
    assert_eq!(DenyList::new().denies(&chain), None, "control");
}

fn chain_of_another_authority() -> VerifiedChain {
    chain(&authority(), "spiffe://example.org/job/nightly")
}

#[test]
fn a_serial_number_is_the_same_however_it_is_written() {
    let one = DenyList::new().serial("0a1b").unwrap();
    for same in ["0A1B", "0a:1b", "0A:1B", "00:0a:1b", "00000a1b", "a1b"] {
        assert_eq!(DenyList::new().serial(same).unwrap(), one, "{same}");
        assert_eq!(list(&format!("serial:{same}")).unwrap(), one, "{same}");
    }
    for other in ["0a1c", "a1b0", "1b"] {
        assert_ne!(DenyList::new().serial(other).unwrap(), one, "{other}");
    }
    for (zero, written) in [("0", "serial:00"), ("00:00", "serial:00")] {
        assert_eq!(DenyList::new().serial(zero).unwrap().len(), 1);
        assert_eq!(
            list(&format!("serial:{zero}")).unwrap(),
            list(written).unwrap()
        );
    }
    for bad in [
        "", ":", "0x0a", "0a:1", "0:a1b", ":0a", "0a:", "0a::1b", "0a 1b", "-1", "+1", "soon", "٠",
    ] {
        let error = DenyList::new().serial(bad).unwrap_err();
        assert!(
            error.to_string().contains("no serial number"),
            "{bad}: {error}"
        );
    }
    let longest = "f".repeat(42);
    assert!(DenyList::new().serial(&longest).is_ok());
    assert!(
        DenyList::new().serial(&format!("{longest}f")).is_err(),
        "no certificate has it, so it is a mistake"
    );
}

#[test]
fn a_digest_is_64_digits_with_or_without_colons() {
    let one = DenyList::new().key_sha256(KEY).unwrap();
    let pairs: Vec<&str> = (0..32)
        .map(|pair| KEY.get(2 * pair..2 * pair + 2).unwrap())
        .collect();
    let (upper, colons) = (KEY.to_uppercase(), pairs.join(":"));
    for same in [&upper, &colons] {
        assert_eq!(&DenyList::new().key_sha256(same).unwrap(), &one, "{same}");
    }
    let (short, shorter) = (KEY.get(1..).unwrap(), KEY.get(2..).unwrap());
    let long = format!("00{KEY}");
    let (not_hex, uneven) = (KEY.replace('0', "g"), colons.replacen(':', "", 1));
    for bad in ["", short, shorter, &long, &not_hex, &uneven] {
        let error = DenyList::new().key_sha256(bad).unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{bad}: {error}");
    }
}

#[test]
fn what_is_no_entry_is_refused_with_its_line() {
    for (bad, why) in [
        ("spiffe://example.org", "a path is missing"),
        ("spiffe://Example.org/x", "lower case"),
        ("spiffe://example.org/x/", "no SPIFFE ID"),
        ("spiffe://example.org/pay*", "whole segment"),
        ("spiffe://*/x", "trust domain"),
        ("SPIFFE://example.org/x", "an entry begins with"),
        ("serial:", "no serial number"),
        ("serial: 0a", "no serial number"),
        ("key-sha256:0a", "SHA-256"),
        ("key:0a", "an entry begins with"),
        ("END", "an entry begins with"),
        (
            "spiffe://example.org/x spiffe://example.org/y",
            "no SPIFFE ID",
        ),
        ("spiffe://example.org/x\rend", "no SPIFFE ID"),
        ("\u{feff}serial:0a", "an entry begins with"),
    ] {
        let text = format!("serial:0a1b\n\n{bad}\nserial:ff\nend\n");
        let error = text.parse::<DenyList>().expect_err(bad);
        assert_eq!(error.line(), Some(3), "{bad}: {error}");
        let said = error.to_string();
        assert!(
            said.starts_with("line 3: ") && said.contains(why),
            "{bad}: {said}"
        );
    }
    let single = DenyList::new().id("spiffe://example.org").unwrap_err();
    assert_eq!(single.line(), None);
    assert!(std::error::Error::source(&single).is_some());
}

#[test]
fn what_is_shown_of_a_wrong_file_is_short_and_no_secret() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n";
    let error = key.parse::<DenyList>().unwrap_err().to_string();
    assert!(
        !error.contains("MIGH") && !error.contains("BEGIN"),
        "{error}"
    );
    let jwks = r#"{"keys":[{"kty":"EC","d":"secret"}]}"#;
    let error = jwks.parse::<DenyList>().unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
    let long = format!("serial:{}\u{1b}[2J", "z".repeat(100_000));
    let error = list(&long).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn comments_blank_lines_and_line_ends_do_not_matter() {
    let plain = list(&format!("{ID}\nserial:0a")).unwrap();
    for text in [
        format!("# whom we refuse\r\n\r\n  {ID} \t# stolen\r\nserial:0a\r\nend\r\n"),
        format!("serial:0a#x\n#{ID}/x\n{ID}\n end # no more\n\n# of today\n"),
        format!("{ID}\n{ID}\nserial:0A\nserial:0a\nend"),
    ] {
        assert_eq!(text.parse::<DenyList>().unwrap(), plain, "{text}");
    }
    assert!("end".parse::<DenyList>().unwrap().is_empty());
    assert_eq!(
        DenyList::new().pattern(ID).unwrap(),
        DenyList::new().id(ID).unwrap(),
        "a pattern without wildcards is one ID"
    );
}

#[test]
fn a_list_that_is_cut_off_anywhere_is_no_list() {
    let text = format!(
        "# end\n{ID}\nspiffe://example.org/ns/**\nserial:0a:1b # end\nkey-sha256:{KEY}\nserial:0e\nend\n"
    );
    let whole = text.parse::<DenyList>().unwrap();
    assert_eq!(whole.len(), 5);
    for length in 0..text.len() {
        match text.get(..length).unwrap().parse::<DenyList>() {
            Ok(list) => assert_eq!(list, whole, "{length}: no denial is missing"),
            Err(error) => assert!(error.line().is_some(), "{length}: {error}"),
        }
    }
    let most = text.get(..text.len() - 2).unwrap();
    assert!(most.parse::<DenyList>().is_err(), "control");
}

#[test]
fn nothing_follows_the_end() {
    for after in [ID, "serial:0a", "end", "garbage"] {
        let error = format!("end\n\n{after}\n").parse::<DenyList>().unwrap_err();
        assert_eq!(error.line(), Some(3));
        assert!(error.to_string().contains("follow `end`"), "{error}");
    }
    let error = "serial:0a\n".parse::<DenyList>().unwrap_err();
    assert!(error.to_string().contains("has to be `end`"), "{error}");
}

#[test]
fn a_list_is_bounded() {
    let serials =
        |count: usize| -> String { (0..count).map(|n| format!("serial:{n:x}\n")).collect() };
    assert_eq!(list(&serials(MAX_ENTRIES)).unwrap().len(), MAX_ENTRIES);
    let error = list(&serials(MAX_ENTRIES + 1)).unwrap_err();
    assert!(
        error.line() == Some(MAX_ENTRIES + 1) && error.to_string().contains("100000"),
        "{error}"
    );
    let patterns = |count: usize| -> String {
        (0..count)
            .map(|n| format!("spiffe://example.org/{n}/*\n"))
            .collect()
    };
    assert_eq!(list(&patterns(MAX_PATTERNS)).unwrap().len(), MAX_PATTERNS);
    let error = list(&patterns(MAX_PATTERNS + 1)).unwrap_err();
    assert!(error.to_string().contains("1000 patterns"), "{error}");
}

#[test]
fn a_list_in_use_shows_figures_and_no_entries() {
    let list = DenyList::new().id(ID).unwrap().serial("0a").unwrap();
    assert_eq!(
        format!("{list:?}"),
        "DenyList { ids: 1, patterns: 0, serials: 1, keys: 0 }"
    );
    assert_eq!((list.len(), list.is_empty()), (2, false));
}

#[test]
fn code_and_file_deny_side_by_side() {
    let id = |id: &str| parse::workload_id(id).unwrap();
    let on = |text: &str| list(text).unwrap();
    let (in_code, in_file) = ("spiffe://example.org/code", "spiffe://example.org/file");
    let mut lists = DenyLists::new(on(in_code), on(in_file));
    let denied = |lists: &DenyLists| [in_code, in_file].map(|one| lists.both().denies_id(&id(one)));
    assert_eq!(denied(&lists), [true, true]);

    let before = lists.both().clone();
    lists.set_code(on(in_code));
    lists.set_file(Ok(on(in_file)));
    assert!(Arc::ptr_eq(&before, lists.both()), "nothing is new");

    lists.set_code(DenyList::new());
    assert_eq!(denied(&lists), [false, true], "the file's part stays");
    lists.set_file(Err("unreadable".to_owned()));
    assert_eq!(denied(&lists), [false, true], "the last good list stays");
    let problem =
        |lists: &DenyLists, other: Option<&str>| lists.and_file_problem(other.map(str::to_owned));
    assert_eq!(problem(&lists, None).as_deref(), Some("unreadable"));
    let both = problem(&lists, Some("expired"));
    assert_eq!(both.as_deref(), Some("expired; unreadable"));
    lists.set_file(Ok(DenyList::new()));
    assert_eq!(denied(&lists), [false, false]);
    assert_eq!(problem(&lists, None), None);
    lists.set_code(on(in_code));
    assert_eq!(denied(&lists), [true, false]);
}
