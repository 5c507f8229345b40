//! The corpus of SVIDs, shown by clients to three servers: one of this project's, one of
//! spiffe-rustls, and one with the verifier that rustls brings, over the roots of all domains together.
//! Where they differ, the difference is explained in `explained.rs`.

mod explained;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use corpus::case::Role;
use corpus::{cases, world};
use explained::EXPLAINED;
use servers::{Servers, Verdicts};

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_from_other_verifiers_is_explained() {
    let now = SystemTime::now();
    let own = world::bystander(now);
    let mut servers: Vec<Servers> = Vec::new();
    let mut rows: BTreeMap<(String, Verdicts), BTreeSet<String>> = BTreeMap::new();
    let (mut count, mut agreed) = (0, 0);
    for case in cases::all(now) {
        if case.role != Role::Client {
            continue;
        }
        let bundles = &case.presented.bundles;
        let known = servers.iter().rposition(|known| known.bundles == *bundles);
        let place = match known {
            Some(place) => place,
            None => {
                servers.push(Servers::start(bundles, &own).await);
                servers.len() - 1
            }
        };
        let verdicts = servers[place].judge(&case.presented).await;
        assert_eq!(
            verdicts.ours,
            !case.verdict.is_bad(),
            "{}: ours is wrong",
            case.id()
        );
        count += 1;
        if verdicts.agree() {
            agreed += 1;
            continue;
        }
        let variant = case.variant.iter().map(|variant| format!("{variant}-"));
        let variant: String = variant.collect();
        let of_class = rows.entry((case.class.clone(), verdicts)).or_default();
        of_class.insert(format!("{variant}{}", case.kind.name()));
    }

    println!("{count} SVIDs shown by clients; all three agree on {agreed}");
    println!("| class | ours | spiffe-rustls | rustls | cases | why |");
    println!("|---|---|---|---|---|---|");
    let mut unexplained = Vec::new();
    for ((class, verdicts), which) in &rows {
        let known = EXPLAINED
            .iter()
            .find(|explained| explained.covers(class, *verdicts));
        let why = known.map_or("?", |explained| explained.why);
        let which: Vec<_> = which.iter().map(String::as_str).collect();
        let row = format!("| {class} | {verdicts} | {} | {why} |", which.join(" "));
        println!("{row}");
        if known.is_none() {
            unexplained.push(row);
        }
    }
    assert!(
        unexplained.is_empty(),
        "without explanation:\n{}",
        unexplained.join("\n")
    );
    let idle: Vec<_> = EXPLAINED
        .iter()
        .flat_map(|explained| {
            explained
                .classes
                .iter()
                .map(move |class| (explained, class))
        })
        .filter(|(explained, class)| {
            !rows
                .keys()
                .any(|(known, verdicts)| known == *class && explained.covers(known, *verdicts))
        })
        .map(|(_, class)| class)
        .collect();
    assert!(idle.is_empty(), "explained, and not there: {idle:?}");
}
