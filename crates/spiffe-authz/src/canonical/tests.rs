use http::Method;

use http::header::HOST;

use super::*;

fn kind(path: &str) -> Option<Kind> {
    check_path(path).err().map(|error| error.0)
}

#[test]
fn ordinary_paths_pass() {
    for path in [
        "/",
        "/orders",
        "/orders/42",
        "/a.b/..c/d..",
        "/...",
        "/orders/.hidden",
        "/a%20b",
        "/%C3%BC",
        "/ü",
        "/a:b@c!$&'()*+,=~_-",
        "/100%25",
        "/a%3fb",
        "/a%23b",
        "/a%2525b",
        "/pkg.Service/Method",
        "/%61dmin",
        "/a\"b",
    ] {
        assert_eq!(kind(path), None, "{path}");
    }
}

#[test]
fn threats_authorization_1_the_path_begins_with_a_slash() {
    for path in [
        "",
        "*",
        "pkg.Svc/M",
        "example.org:443",
        "\\admin",
        "%2fadmin",
        "?",
        "http://a/b",
    ] {
        assert_eq!(kind(path), Some(Kind::NotOriginForm), "{path:?}");
    }
}

#[test]
fn threats_authorization_2_6_14_no_segment_is_empty() {
    for path in [
        "//",
        "//admin",
        "//pkg.Svc/M",
        "/admin/",
        "/admin//",
        "/a//b",
        "///",
    ] {
        assert_eq!(kind(path), Some(Kind::EmptySegment), "{path:?}");
    }
}

#[test]
fn threats_authorization_3_no_segment_is_a_dot_segment() {
    for path in [
        "/.",
        "/..",
        "/public/../private",
        "/public/./private",
        "/public/%2e%2e/private",
        "/public/%2E%2e/private",
        "/public/.%2e/private",
        "/public/%2e./private",
        "/%2e",
        "/a/%2e/b",
        "/x/%252e%252e/y",
        "/x/%252e./y",
        "/x/%25252e%25252e",
        "/..?",
    ] {
        let expected = if path.ends_with('?') {
            Kind::Character
        } else {
            Kind::DotSegment
        };
        assert_eq!(kind(path), Some(expected), "{path:?}");
    }
}

#[test]
fn threats_authorization_5_no_matrix_parameters() {
    assert_eq!(kind("/orders;a=b"), Some(Kind::Character));
    assert_eq!(kind("/x/..;/orders"), Some(Kind::Character));
    for path in ["/orders%3bx", "/orders%3Bx", "/orders%253bx"] {
        assert_eq!(kind(path), Some(Kind::EncodedCharacter), "{path}");
    }
}

#[test]
fn threats_authorization_16_nothing_hides_behind_an_encoding() {
    for path in [
        "/x%2fadmin",
        "/x%2Fadmin",
        "/x%5cadmin",
        "/x%5Cadmin",
        "/a%00b",
        "/%00",
        "/..%2fx",
        "/a%252fb",
        "/a%255cb",
        "/a%2500b",
        "/a%25252fb",
        "/a%252%66b",
        "/a%25%32%66b",
    ] {
        assert_eq!(kind(path), Some(Kind::EncodedCharacter), "{path}");
    }
    for path in ["/%ff", "/%c3", "/%c0%af", "/%ed%a0%80", "/%25ff"] {
        assert_eq!(kind(path), Some(Kind::NotUtf8), "{path}");
    }
    for path in [
        "/%", "/a%", "/a%2", "/%zz", "/%2g", "/%%", "/%u002f", "/a%2/b", "/%-1",
    ] {
        assert_eq!(kind(path), Some(Kind::MalformedEscape), "{path}");
    }
}

#[test]
fn a_percent_sign_may_be_encoded_but_not_for_ever() {
    for levels in 1..100 {
        let path = format!("/a%{}41", "25".repeat(levels));
        let expected = (levels >= MAX_DECODINGS).then_some(Kind::EncodedTooOften);
        assert_eq!(kind(&path), expected, "{path}");
    }
}

#[test]
fn every_ascii_byte_raw_and_encoded() {
    for byte in 0..0x80_u8 {
        let character = char::from(byte);
        let raw_may =
            character.is_ascii_graphic() && !matches!(character, '\\' | ';' | '#' | '?' | '%');
        assert_eq!(
            kind(&format!("/a{character}b")).is_none(),
            raw_may,
            "raw byte {byte:#x}"
        );
        let encoded_may = !matches!(character, '/' | '\\' | ';' | '\0');
        for path in [
            format!("/a%{byte:02x}b"),
            format!("/a%{byte:02X}b"),
            format!("/a%25{byte:02x}b"),
        ] {
            assert_eq!(kind(&path).is_none(), encoded_may, "{path}");
        }
    }
    for byte in 0x80..=u8::MAX {
        assert_eq!(
            kind(&format!("/a%{byte:02x}b")),
            Some(Kind::NotUtf8),
            "{byte:#x} alone is not UTF-8"
        );
    }
    assert_eq!(
        kind("/a\u{85}b"),
        Some(Kind::Character),
        "a control character beyond ASCII"
    );
}

/// What `check_path` decides, said the slow way.
fn reads_in_one_way(path: &str) -> bool {
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .ok()
            .map(|text| text.into_owned())
    };
    path == "/"
        || path.starts_with('/')
            && path.split('/').skip(1).all(|segment| {
                let mut readings = vec![segment.to_owned()];
                while readings.len() <= MAX_DECODINGS {
                    let Some(next) = readings.last().and_then(|text| decode(text)) else {
                        return false;
                    };
                    readings.push(next);
                }
                segment
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'#')
                    && readings.iter().all(|text| {
                        !["", ".", ".."].contains(&text.as_str())
                            && !text.contains(['/', '\\', ';', '\0'])
                    })
                    && !regex_like_malformed(segment)
                    && readings.last().and_then(|text| decode(text)).as_ref() == readings.last()
            })
}

fn regex_like_malformed(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    (0..bytes.len()).any(|at| {
        bytes[at] == b'%'
            && !bytes
                .get(at + 1..at + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

#[test]
fn agrees_with_the_slow_way_on_every_short_path_of_hard_pieces() {
    let pieces = [
        "/", ".", "%", "2", "5", "e", "f", "%2e", "%25", "%2f", "%5c", ";", "a", "%00", "%c3%bc",
    ];
    let mut paths = vec![String::from("/")];
    for _ in 0..4 {
        paths = paths
            .iter()
            .flat_map(|path| pieces.iter().map(move |piece| format!("{path}{piece}")))
            .chain(["/".to_owned()])
            .collect();
        for path in &paths {
            assert_eq!(check_path(path).is_ok(), reads_in_one_way(path), "{path}");
        }
    }
    assert!(paths.len() > 50_000);
}

#[test]
fn what_is_looked_at_in_steps_is_seen_wherever_it_stands() {
    for length in 1..=70 {
        for at in 0..length {
            let (before, after) = ("a".repeat(at), "a".repeat(length - at));
            assert_eq!(kind(&format!("/{before}")), None);
            for wrong in [
                "/", "//", "/.", "/..", "/./", ";", "\\", "%2f", "%", " ", "\u{7f}",
            ] {
                let path = format!("/{before}{wrong}{after}");
                assert_eq!(kind(&path).is_none(), reads_in_one_way(&path), "{path}");
            }
            for (byte, fits) in [('/', false), (',', false), ('@', false), ('~', true)] {
                let host = format!("{before}{byte}{after}");
                assert_eq!(authority("/", &[&host]).is_none(), fits, "{host}");
                let with_port = format!("{host}:8443");
                assert_eq!(authority("/", &[&with_port]).is_none(), fits, "{with_port}");
                let with_two = format!("{with_port}:1");
                assert!(authority("/", &[&with_two]).is_some(), "{with_two}");
            }
        }
    }
}

#[test]
fn threats_authorization_15_a_second_host_is_seen_among_any_number_of_headers() {
    for others in 0..40 {
        let mut request = Request::get("/").header(HOST, "good.test");
        for other in 0..others {
            request = request.header(format!("x-{other}"), "");
        }
        assert!(check(&request.body(()).unwrap()).is_ok());
        let mut request = Request::get("/").header(HOST, "good.test");
        for other in 0..others {
            request = request.header(format!("x-{other}"), "");
        }
        let request = request.header(HOST, "good.test").body(()).unwrap();
        assert_eq!(check(&request).unwrap_err().0, Kind::TwoAuthorities);
    }
}

#[test]
fn the_type_of_a_method_admits_tokens_alone() {
    for byte in 0..=u8::MAX {
        let may = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert_eq!(Method::from_bytes(&[b'X', byte]).is_ok(), may, "{byte:#x}");
    }
    assert!(Method::from_bytes(b"").is_err());
}

fn authority(target: &str, hosts: &[&str]) -> Option<Kind> {
    let mut request = Request::get(target);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    check(&request.body(()).unwrap()).err().map(|error| error.0)
}

#[test]
fn threats_authorization_15_47_there_is_one_authority() {
    let two = Some(Kind::TwoAuthorities);
    for (target, hosts, expected) in [
        ("/orders", &[][..], None),
        ("/orders", &["good.test"], None),
        ("/orders", &["good.test:8443"], None),
        ("/orders", &["[::1]:8443"], None),
        ("/orders", &[""], None),
        ("/orders", &["good.test", "evil.test"], two),
        ("/orders", &["good.test", "good.test"], two),
        ("http://good.test/orders", &[], None),
        ("https://good.test/orders", &["good.test"], None),
        ("https://good.test/orders", &["GOOD.test"], None),
        ("https://good.test:8443/orders", &["good.test:8443"], None),
        ("http://evil.test/orders", &["good.test"], two),
        ("http://good.test:81/orders", &["good.test"], two),
        ("http://good.test/orders", &[""], two),
        ("http://good.test/orders", &["good.test", "good.test"], two),
        ("/orders", &["good.test, evil.test"], Some(Kind::Authority)),
        ("/orders", &["good.test,evil.test"], Some(Kind::Authority)),
        ("/orders", &["user@good.test"], Some(Kind::Authority)),
        ("/orders", &["good.test/x"], Some(Kind::Authority)),
        ("/orders", &["good.test:"], None),
        ("/orders", &["[::1]"], None),
        ("/orders", &["good.test:1:2"], Some(Kind::Authority)),
        ("/orders", &["good.test:x"], Some(Kind::Authority)),
        ("/orders", &["[::1]:x"], Some(Kind::Authority)),
        ("/orders", &["[::1]x"], Some(Kind::Authority)),
        ("/orders", &["[::1"], Some(Kind::Authority)),
        ("/orders", &["::1"], Some(Kind::Authority)),
        ("/orders", &["a[b]"], Some(Kind::Authority)),
        ("http://user@good.test/orders", &[], Some(Kind::Authority)),
    ] {
        assert_eq!(authority(target, hosts), expected, "{target} {hosts:?}");
    }
}

#[test]
fn the_query_is_not_looked_at() {
    assert!(check(&Request::get("/orders?x=%2e%2e/%zz;//").body(()).unwrap()).is_ok());
    assert!(
        check(&Request::get("/user/profile#x").body(()).unwrap()).is_ok(),
        "http::Uri drops a fragment"
    );
}

#[test]
fn asterisk_and_authority_form_are_refused() {
    for (method, target) in [("OPTIONS", "*"), ("CONNECT", "good.test:443")] {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .body(())
            .unwrap();
        assert_eq!(
            check(&request).unwrap_err().0,
            Kind::NotOriginForm,
            "{method} {target}"
        );
    }
}
