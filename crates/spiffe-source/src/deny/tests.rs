use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_peer::{Fingerprint, parse};
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
    for same in [
        "0A1B", "0a:1b", "0A:1B", "00:0a:1b", "00000a1b", "a1b", "0x0a1b", "0Xa1B",
    ] {
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
        "", ":", "0x", "0x0a:1b", "x0a", "0x0x0a", "0a:1", "0:a1b", ":0a", "0a:", "0a::1b",
        "0a 1b", "-1", "+1", "soon", "٠",
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
fn a_decimal_serial_number_denies_the_certificate_that_it_names() {
    for (decimal, hex) in [
        ("0", "00"),
        ("000", "00"),
        ("9", "09"),
        ("255", "ff"),
        ("256", "0100"),
        ("2587", "0a1b"),
        ("18446744073709551616", "010000000000000000"),
        (
            "204837621346519842673120598735620184027",
            "9a1a4a7661376bc620e7a0c4bc2497db",
        ),
        (
            "374144419156711147060143317175368453031918731001855",
            "ffffffffffffffffffffffffffffffffffffffffff",
        ),
    ] {
        let one = DenyList::new().serial_decimal(decimal).unwrap();
        let same = DenyList::new().serial(&format!("0x{hex}")).unwrap();
        assert_eq!(one, same, "{decimal}");
        let many_zeros = format!("serial-decimal:{}{decimal}", "0".repeat(100_000));
        for line in [format!("serial-decimal:{decimal}"), many_zeros] {
            assert_eq!(list(&line).unwrap(), one, "{decimal}");
        }
    }
    let one_more = "374144419156711147060143317175368453031918731001856";
    let long = "9".repeat(100_000);
    for bad in [
        "", "0a", "-1", "+1", "1:2", "0x1", "1 2", "٣", one_more, &long,
    ] {
        let error = DenyList::new().serial_decimal(bad).unwrap_err().to_string();
        assert!(error.contains("no decimal serial"), "{bad}: {error}");
        assert!(error.len() < 300, "{error}");
    }
}

#[test]
fn a_serial_number_that_may_be_decimal_is_refused_until_it_says_what_it_is() {
    let decimal = "20483762134651984267";
    let error = list(&format!("serial:{decimal}")).unwrap_err();
    assert_eq!(error.line(), Some(1));
    let said = error.to_string();
    for way_out in ["`serial-decimal:`", "colons", "`0x`", decimal] {
        assert!(said.contains(way_out), "{said}");
    }
    assert!(DenyList::new().serial(decimal).is_err());
    let colons = "20:48:37:62:13:46:51:98:42:67";
    let hexadecimal = list(&format!("serial:{colons}")).unwrap();
    assert_eq!(list(&format!("serial:0x{decimal}")).unwrap(), hexadecimal);
    assert_ne!(
        list(&format!("serial-decimal:{decimal}")).unwrap(),
        hexadecimal
    );
    for clear in ["2048376213465198426", "2048376213465198426a"] {
        assert!(DenyList::new().serial(clear).is_ok(), "control: {clear}");
    }

    // What an entry shows of itself can be read again.
    for text in [colons, "0a1b", "0x9a1a4a7661376bc620e7a0c4bc2497db"] {
        let entry = DenyEntry::from(entry::parse(&format!("serial:{text}")).unwrap());
        let again = list(&entry.to_string()).unwrap();
        assert_eq!(again, DenyList::new().serial(text).unwrap(), "{entry}");
    }
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
fn a_list_that_is_cut_off_before_its_end_is_no_list() {
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

fn with_digest(entries: &str) -> String {
    let digest = Fingerprint::from_sha256(Sha256::digest(entries).into());
    format!("{entries}end sha256:{digest}\n")
}

#[test]
fn a_mixture_of_two_lists_is_no_list_where_each_ends_in_its_digest() {
    let old = with_digest("serial:0a\nserial:0b\nserial:0c\nserial:0d\n");
    let new = with_digest("serial:01\nserial:0a\nserial:0b\nserial:0c\nserial:0d\n");
    let lists = [&old, &new].map(|text| text.parse::<DenyList>().unwrap());
    assert_eq!(lists.each_ref().map(DenyList::len), [4, 5]);
    for (before, after) in [(&old, &new), (&new, &old)] {
        for length in 0..=before.len().max(after.len()) {
            let written = after.get(..length).unwrap_or(after);
            let mixture = format!("{written}{}", before.get(length..).unwrap_or_default());
            if let Ok(list) = mixture.parse::<DenyList>() {
                assert!(lists.contains(&list), "{length}: {mixture}");
            }
        }
    }
    let plain = "serial:01\nserial:0a\nserial:0c\nserial:0d\nend\n";
    assert!(plain.parse::<DenyList>().is_ok(), "control: nothing shows");
}

#[test]
fn a_digest_in_the_last_line_is_that_of_all_bytes_before_it() {
    let entries = "# today\r\nserial:0a\r\n\r\n";
    let good = with_digest(entries);
    assert_eq!(
        good.parse::<DenyList>().unwrap(),
        list("serial:0a").unwrap()
    );
    let (upper, padded) = (
        good.replace("end sha256:", "end \t sha256:"),
        format!("{good}\n# no more\n"),
    );
    for same in [upper, padded, with_digest("")] {
        assert!(same.parse::<DenyList>().is_ok(), "{same}");
    }
    let other = good.replace("serial:0a", "serial:0b");
    let error = other.parse::<DenyList>().unwrap_err();
    assert_eq!(error.line(), Some(4));
    assert!(error.to_string().contains("SHA-256 digest"), "{error}");
    for bad in [
        good.replace("today", "Today"),
        good.replacen("\r\n", "\n", 1),
        format!(" {good}"),
    ] {
        assert!(bad.parse::<DenyList>().is_err(), "{bad}");
    }
    for (last, why) in [
        ("end sha256:", "`` is no SHA-256 digest"),
        ("end sha256:00", "`00` is no SHA-256 digest"),
        ("end sha512:00", "`end sha256:`"),
        ("end serial:0a", "`end sha256:`"),
        ("endsha256:00", "an entry begins with"),
    ] {
        let error = format!("serial:0a\n{last}\n").parse::<DenyList>();
        let error = error.unwrap_err();
        assert_eq!(error.line(), Some(2), "{last}");
        assert!(error.to_string().contains(why), "{last}: {error}");
    }
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
    let mut lists = DenyLists::new(on(in_code), Some(on(in_file)));
    let denied = |lists: &DenyLists| [in_code, in_file].map(|one| lists.both().denies_id(&id(one)));
    assert_eq!(denied(&lists), [true, true]);

    let before = lists.both().clone();
    lists.set_code(lists.parts().with_code(on(in_code)));
    lists.set_file(Ok(lists.parts().with_file(on(in_file))));
    assert!(Arc::ptr_eq(&before, lists.both()), "nothing is new");

    lists.set_code(lists.parts().with_code(DenyList::new()));
    assert_eq!(denied(&lists), [false, true], "the file's part stays");
    lists.set_file(Ok(lists.parts().with_file(DenyList::new())));
    assert_eq!(denied(&lists), [false, false]);
    lists.set_code(lists.parts().with_code(on(in_code)));
    assert_eq!(denied(&lists), [true, false]);
}

#[test]
fn a_file_that_cannot_be_read_lifts_no_denial_and_is_told_beside_other_problems() {
    let id = parse::workload_id(ID).unwrap();
    let mut lists = DenyLists::new(DenyList::new(), Some(list(ID).unwrap()));
    assert_eq!(lists.file_is_stale(), Some(false));
    lists.set_file(Err("unreadable".to_owned()));
    assert!(lists.both().denies_id(&id), "the last good list stays");
    assert_eq!(lists.file_is_stale(), Some(true));
    let problem =
        |lists: &DenyLists, other: Option<&str>| lists.and_file_problem(other.map(str::to_owned));
    assert_eq!(problem(&lists, None).as_deref(), Some("unreadable"));
    let both = problem(&lists, Some("expired"));
    assert_eq!(both.as_deref(), Some("expired; unreadable"));
    lists.set_file(Ok(lists.parts().with_file(DenyList::new())));
    assert_eq!(lists.file_is_stale(), Some(false));
    assert_eq!(problem(&lists, None), None);
    assert_eq!(DenyLists::default().file_is_stale(), None);
}

#[test]
fn parts_that_were_prepared_at_the_same_time_undo_nothing_of_each_other() {
    let ids = ["spiffe://example.org/code", "spiffe://example.org/file"];
    for file_is_first in [true, false] {
        let mut lists = DenyLists::default();
        let code = lists.parts().with_code(list(ids[0]).unwrap());
        let file = lists.parts().with_file(list(ids[1]).unwrap());
        if file_is_first {
            lists.set_file(Ok(file));
            lists.set_code(code);
        } else {
            lists.set_code(code);
            lists.set_file(Ok(file));
        }
        let denies = |id: &str| lists.both().denies_id(&parse::workload_id(id).unwrap());
        assert!(ids.into_iter().all(denies), "{lists:?}");
    }
}
