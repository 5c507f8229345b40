//! Writes moments as RFC 3339 does.

use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use serde::Serializer;

pub(crate) fn write<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_rfc3339_seconds(*time))
}

pub(crate) fn write_if_any<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write(time, serializer),
        None => serializer.serialize_none(),
    }
}
