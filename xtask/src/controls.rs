//! Negative controls: each removes one check in a copy of the workspace, and shows that the test of
//! the invariant then fails. A test that cannot fail shows nothing.

mod checkout;
mod control;
mod list;
mod runner;

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, bail};
use xshell::Shell;

use checkout::Checkout;
use control::{Control, Test};
use runner::{Runner, Verdict};

/// Runs the controls that are named; all of them where none is.
pub(crate) fn run(shell: &Shell, names: &[String]) -> anyhow::Result<()> {
    let chosen = chosen(names)?;
    let kept = crate::root().join("target/controls");
    let checkout = Checkout::refresh(shell, kept.join("checkout"))?;
    let runner = Runner::new(shell, checkout.root(), &packages(), &kept)?;

    let unmodified = unmodified(&runner, &chosen)?;
    let mut rows = Vec::new();
    for control in chosen {
        let begun = Instant::now();
        let outcome = caught(&checkout, &runner, control, &unmodified);
        println!(
            "--- {}: {} after {} s",
            control.name,
            said(&outcome),
            begun.elapsed().as_secs()
        );
        rows.push((control, outcome));
    }

    rows.sort_by_key(|(control, _)| control.invariant);
    print(&rows);
    let failed: Vec<_> = rows
        .iter()
        .filter(|(_, outcome)| outcome.is_err())
        .map(|(control, _)| control.name)
        .collect();
    let passed = rows.len() - failed.len();
    println!("{passed} passed, {} failed", failed.len());
    if !failed.is_empty() {
        bail!("not caught: {}", failed.join(", "));
    }
    Ok(())
}

/// Every control there is.
fn all() -> impl Iterator<Item = &'static Control> {
    list::ALL.into_iter().flatten()
}

/// The packages that have tests of controls.
fn packages() -> Vec<&'static str> {
    let mut packages: Vec<_> = all().map(|control| control.test.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Control>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !all().any(|control| control.name == **name))
    {
        let known: Vec<_> = all().map(|control| control.name).collect();
        bail!(
            "there is no control `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    Ok(all()
        .filter(|control| names.is_empty() || names.iter().any(|name| control.name == name))
        .collect())
}

/// What each test says while every check is in place, or why it says nothing.
type Unmodified = HashMap<(&'static str, &'static str), Result<Verdict, String>>;

/// Runs every test once, those of one target together.
fn unmodified(runner: &Runner<'_>, controls: &[&Control]) -> anyhow::Result<Unmodified> {
    let mut said = Unmodified::new();
    let mut targets: Vec<Vec<Test>> = Vec::new();
    for test in controls.iter().map(|control| control.test) {
        match targets.iter_mut().find(|tests| {
            tests
                .first()
                .is_some_and(|first| (first.package, first.target) == (test.package, test.target))
        }) {
            Some(tests) if tests.contains(&test) => {}
            Some(tests) => tests.push(test),
            None => targets.push(vec![test]),
        }
    }
    for tests in targets {
        let Some(first) = tests.first() else { continue };
        let target = first.target.flags().join(" ");
        let begun = Instant::now();
        let verdicts = runner.run(&format!("unmodified {} {target}", first.package), &tests);
        println!(
            "--- unmodified, {} {target}: {} tests, {} s",
            first.package,
            tests.len(),
            begun.elapsed().as_secs()
        );
        for (index, test) in tests.iter().enumerate() {
            let verdict = match &verdicts {
                Ok(verdicts) => verdicts
                    .get(index)
                    .copied()
                    .context("a test without a verdict")?,
                Err(error) => {
                    said.insert((test.package, test.name), Err(error.to_string()));
                    continue;
                }
            };
            said.insert((test.package, test.name), Ok(verdict));
        }
    }
    Ok(said)
}

/// Removes the check of a control, and demands that its test then fails.
fn caught(
    checkout: &Checkout,
    runner: &Runner<'_>,
    control: &Control,
    unmodified: &Unmodified,
) -> Result<(), String> {
    let test = control.test;
    match unmodified.get(&(test.package, test.name)) {
        Some(Ok(Verdict::Passed)) => {}
        Some(Ok(Verdict::Unknown)) => return Err("ERROR: there is no such test".to_owned()),
        Some(Err(error)) => return Err(format!("ERROR: unmodified, {error}")),
        _ => return Err("ERROR: the test does not pass unmodified".to_owned()),
    }
    let verdicts = checkout.with(control.edits, || runner.run(control.name, &[test]));
    match verdicts.as_deref() {
        Ok([Verdict::Failed]) => Ok(()),
        Ok([Verdict::Passed]) => Err("NOT CAUGHT".to_owned()),
        Ok([Verdict::Hung]) => Err("ERROR: the test hangs instead of failing".to_owned()),
        Ok(_) => Err("ERROR: the test ended without a verdict".to_owned()),
        Err(error) => Err(format!("ERROR: {error:#}")),
    }
}

fn said(outcome: &Result<(), String>) -> &str {
    match outcome {
        Ok(()) => "caught",
        Err(why) => why,
    }
}

fn print(rows: &[(&Control, Result<(), String>)]) {
    let without = rows
        .iter()
        .map(|(control, _)| control.without.len())
        .max()
        .unwrap_or(0);
    let test = rows
        .iter()
        .map(|(control, _)| control.test.name.len())
        .max()
        .unwrap_or(0);
    println!();
    println!(
        "inv  {:without$}  {:test$}  verdict",
        "without the check", "test"
    );
    for (control, outcome) in rows {
        println!(
            "{:>3}  {:without$}  {:test$}  {}",
            control.invariant,
            control.without,
            control.test.name,
            said(outcome)
        );
    }
}
