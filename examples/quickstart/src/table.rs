//! The outcomes as a table.

use crate::cases::Outcome;

pub(crate) fn render(outcomes: &[Outcome]) -> String {
    let heading = ["", "caller", "action", "outcome", "why"].map(str::to_owned);
    let mut rows = vec![heading];
    rows.extend(outcomes.iter().map(|outcome| {
        let (mark, actual) = if outcome.is_expected() {
            ("ok", outcome.actual.clone())
        } else {
            (
                "BAD",
                format!("{} (expected {})", outcome.actual, outcome.expected),
            )
        };
        [
            mark.to_owned(),
            outcome.caller.to_owned(),
            outcome.action.to_owned(),
            actual,
            outcome.why.clone(),
        ]
    }));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; 5]| {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
