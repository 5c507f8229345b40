//! What a recorder of metrics has been told.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, Snapshotter};

/// Figures by name and labels, written together: `name label=value`. Of a histogram, how many values it
/// has. What counts starts at zero again with each look; a gauge stays.
pub type Figures = BTreeMap<String, f64>;

/// Looks at them.
#[must_use]
pub fn figures(snapshotter: &Snapshotter) -> Figures {
    let all = snapshotter.snapshot().into_vec().into_iter();
    all.map(|(key, _, _, value)| {
        let labels: String = key
            .key()
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()))
            .collect();
        let value = match value {
            DebugValue::Counter(count) => f64::from(u32::try_from(count).unwrap()),
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => f64::from(u32::try_from(values.len()).unwrap()),
        };
        (format!("{}{labels}", key.key().name()), value)
    })
    .collect()
}
