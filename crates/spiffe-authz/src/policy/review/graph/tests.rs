use std::collections::HashSet;

use super::layout::Layout;
use super::*;

fn policy(rules: usize) -> Policy {
    let mut text = String::from(
        "version: 1\nname: p\ntrust_domains: { td: {} }\nprincipals:\n  shop: ['spiffe://td/ns/shop/**', spiffe://td/a]\nrules:\n",
    );
    for rule in 0..rules {
        let effect = if rule % 3 == 1 { "deny" } else { "allow" };
        let shadow = if rule % 4 == 3 { ", shadow: true" } else { "" };
        let when = if rule % 2 == 0 {
            ", when: 'path.x != \"<&>\"'"
        } else {
            ""
        };
        text.push_str(&format!(
            "  - {{ name: rule-{rule}, {effect}: ['GET /api/{}/{{x}}', 'grpc a.B/C{rule}'], from: [shop, 'spiffe://td/ns/n{}/sa/a']{shadow} }}\n",
            rule % 17,
            rule % 11,
        ));
        if when.is_empty() || rule % 5 != 0 {
            continue;
        }
        text.push_str(&format!(
            "  - {{ name: rule-{rule}-if, allow: ['GET /{{x}}'], from: authenticated, because: a test{when} }}\n"
        ));
    }
    Policy::from_yaml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn no_box_stands_on_another_or_outside() {
    for rules in [1, 5, 100, 1_000] {
        let graph = Graph::of(&policy(rules));
        let layout = Layout::of(&graph);
        for (slots, boxes) in [
            (&layout.callers, graph.callers.len()),
            (&layout.rules, graph.rules.len()),
            (&layout.actions, graph.actions.len()),
        ] {
            assert_eq!(slots.len(), boxes);
            let mut sorted: Vec<_> = slots
                .iter()
                .map(|slot| (slot.top, slot.top + slot.height))
                .collect();
            sorted.sort_unstable();
            assert!(sorted[0].0 >= layout::HEAD, "{rules}: {:?}", sorted[0]);
            assert!(sorted.last().unwrap().1 < layout.height);
            assert!(
                sorted.windows(2).all(|pair| pair[0].1 < pair[1].0),
                "{rules}"
            );
        }
    }
}

#[test]
fn everything_is_drawn_once_and_each_way_of_it_otherwise() {
    let graph = Graph::of(&policy(30));
    let svg = graph.svg();
    let edges: usize = graph
        .rules
        .iter()
        .map(|rule| rule.callers.len() + rule.actions.len())
        .sum();
    // Three more lines are those of the legend.
    assert_eq!(svg.matches("<path ").count(), edges + 3);
    assert_eq!(
        svg.matches("<g>").count(),
        graph.callers.len() + graph.rules.len() + graph.actions.len()
    );
    assert!(
        svg.contains("path.x != &quot;&lt;&amp;&gt;&quot;")
            && svg.contains("spiffe://td/ns/shop/**\nspiffe://td/a</title>")
    );
    let strokes: HashSet<_> = svg
        .lines()
        .filter(|line| line.starts_with("<path "))
        .filter_map(|line| line.split_once("stroke=")?.1.split_once(['>', '/']))
        .map(|(stroke, _)| stroke)
        .collect();
    assert_eq!(strokes.len(), 3, "{strokes:?}");
    let dashes = |stroke: &&str| {
        stroke
            .split_once("dasharray=")
            .map(|(_, dashes)| dashes.to_owned())
    };
    assert_eq!(
        strokes.iter().map(dashes).collect::<HashSet<_>>().len(),
        3,
        "told apart without colours too"
    );
    assert_eq!(graph.dot().matches(" -> ").count(), edges);
    assert_eq!(graph.markdown().lines().count(), graph.rules.len() + 6);
}

#[test]
fn what_is_too_long_is_cut_and_whole_in_the_title() {
    let long = "x".repeat(300);
    let text = format!(
        "version: 1\nname: p\ntrust_domains: {{ td: {{}} }}\nrules:\n  - {{ name: {long}, allow: ['GET /{long}/end'], from: ['spiffe://td/{long}/end'] }}\n"
    );
    let svg = Graph::of(&Policy::from_yaml(&text).unwrap()).svg();
    let texts = svg.lines().flat_map(|line| line.split("<text ").skip(1));
    for text in texts {
        let shown = text.split_once('>').unwrap().1.split_once('<').unwrap().0;
        assert!(shown.chars().count() <= 80, "{shown}");
    }
    assert!(svg.contains(&format!("<title>GET /{long}/end</title>")));
    assert!(svg.contains(&format!("<title>spiffe://td/{long}/end</title>")));
    assert!(svg.contains("…xxx") && svg.contains("xx/end</text>"));
}

#[test]
fn a_policy_in_shadow_enforces_nothing_in_its_picture_either() {
    let text = "version: 1\nname: p\nmode: shadow\nrules:\n  - { name: a, allow: ['GET /'], from: anyone, because: a test }\n";
    let graph = Graph::of(&Policy::from_yaml(text).unwrap());
    assert!(graph.rules.iter().all(|rule| rule.line == Line::Shadow));
    assert!(
        graph.markdown().contains("in shadow: nothing is enforced")
            && graph.markdown().contains("allow, in shadow")
    );
}
