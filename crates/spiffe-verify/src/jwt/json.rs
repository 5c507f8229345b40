use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a JSON object in which no object, however deep, has a name twice.
///
/// Which of two members with one name counts is a matter of the reader: a token that has them can
/// mean one thing to one service and another to the next.
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice::<Unique>(json).ok()?;
    serde_json::from_slice(json).ok()
}

/// Any JSON value whose objects have every name once; keeps nothing of it.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON whose objects have every name once")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element_seed(Self)?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
            members.next_value_seed(Self)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn a_name_stands_once_at_every_depth() {
        let good = br#"{"a": [1, -1, 0.5, true, null, "x", {"a": {}}], "b": {"a": 1}}"#;
        assert_eq!(object(good).unwrap().len(), 2);
        for bad in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "b": 2, "\u0061": 1}"#,
            r#"{"b": {"a": 1, "a": 2}}"#,
            r#"{"b": [[{"a": 1, "a": 2}]]}"#,
        ] {
            assert!(object(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in [
            "",
            "1",
            "[]",
            "null",
            r#""a""#,
            "{} {}",
            "{}x",
            r#"{"a": }"#,
            r#"{"a": 1,}"#,
            "\u{feff}{}",
        ] {
            assert!(object(bad.as_bytes()).is_none(), "{bad:?}");
        }
        assert!(object(b"{\"a\": \"\xff\"}").is_none(), "no UTF-8");
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(object(deep.as_bytes()).is_none(), "too deep");
    }
}
