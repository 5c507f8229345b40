//! What is accepted as an ID or a pattern is written as it was read, and errors stay short.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spiffe_peer::{IdPattern, parse};

/// Errors go to logs: whatever the input, this is enough for one.
const LONGEST_ERROR: usize = 8192;

fuzz_target!(|text: &str| {
    match parse::spiffe_id(text) {
        Ok(id) => {
            assert_eq!(id.to_string(), text, "nothing is normalised");
            assert_eq!(parse::workload_id(text).is_ok(), !id.path().is_empty());
            assert_eq!(parse::trust_domain_id(text).is_ok(), id.path().is_empty());
            let own = IdPattern::from(&id);
            assert_eq!(own.matches(&id), !id.path().is_empty());
            if !id.path().is_empty() && id.path().split('/').count() < 60 {
                let parsed: IdPattern = text.parse().expect("the ID of a workload is a pattern");
                assert_eq!(parsed, own);
            }
        }
        Err(error) => {
            assert!(error.to_string().len() < LONGEST_ERROR);
            // What an error suggests is right.
            if let Some(suggestion) = error.suggestion() {
                assert!(
                    parse::spiffe_id(suggestion).is_ok() || parse::trust_domain(suggestion).is_ok()
                );
            }
        }
    }
    if let Ok(domain) = parse::trust_domain(text) {
        assert_eq!(domain.as_str(), text);
    }
    match text.parse::<IdPattern>() {
        Ok(pattern) => {
            assert_eq!(pattern.to_string(), text);
            assert_eq!(pattern.as_str().parse::<IdPattern>().as_ref(), Ok(&pattern));
            assert!(text.starts_with(&format!("spiffe://{}/", pattern.trust_domain_name())));
        }
        Err(error) => assert!(error.to_string().len() < LONGEST_ERROR),
    }
});
