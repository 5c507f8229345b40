//! Where everything stands in the picture, in pixels.

use super::{Graph, Node};

pub(super) const MARGIN: u32 = 24;
pub(super) const COLUMN: u32 = 310;
pub(super) const BETWEEN: u32 = 130;
/// Title, legend and the heads of the columns.
pub(super) const HEAD: u32 = 128;
const LOW: u32 = 26;
const HIGH: u32 = 42;
const GAP: u32 = 10;

/// The place of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) top: u32,
    pub(super) height: u32,
}

impl Slot {
    pub(super) fn middle(self) -> u32 {
        self.top.saturating_add(self.height / 2)
    }

    fn bottom(self) -> u32 {
        self.top.saturating_add(self.height)
    }
}

pub(super) struct Layout {
    pub(super) callers: Vec<Slot>,
    pub(super) rules: Vec<Slot>,
    pub(super) actions: Vec<Slot>,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Layout {
    /// The rules of a caller stand together, in the order of the file; callers and actions stand beside
    /// the rules that they belong to, so that few lines cross.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut order: Vec<_> = graph.rules.iter().enumerate().collect();
        order.sort_by_key(|(index, rule)| (rule.callers.first().copied(), *index));
        let mut rules = Vec::with_capacity(order.len());
        let mut top = HEAD;
        for (index, rule) in order {
            let slot = Slot {
                top,
                height: height(rule.note.is_some()),
            };
            top = slot.bottom().saturating_add(GAP);
            rules.push((index, slot));
        }
        let end = top;
        let rules = in_order(rules);
        let callers = beside(graph, &rules, &graph.callers, |rule| &rule.callers, end);
        let actions = beside(graph, &rules, &graph.actions, |rule| &rule.actions, end);
        let slots = callers.iter().chain(&rules).chain(&actions);
        let height = slots.map(|slot| slot.bottom()).max().unwrap_or(HEAD);
        Self {
            callers,
            rules,
            actions,
            width: 2 * MARGIN + 3 * COLUMN + 2 * BETWEEN,
            height: height.saturating_add(MARGIN),
        }
    }
}

fn height(has_note: bool) -> u32 {
    if has_note { HIGH } else { LOW }
}

/// Places nodes at the middle of their rules, as far as they do not overlap.
fn beside(
    graph: &Graph,
    rules: &[Slot],
    nodes: &[Node],
    of: impl Fn(&super::Rule) -> &Vec<usize>,
    end: u32,
) -> Vec<Slot> {
    let mut sums = vec![(0_u64, 0_u64); nodes.len()];
    for (rule, slot) in graph.rules.iter().zip(rules) {
        for place in of(rule) {
            if let Some((sum, count)) = sums.get_mut(*place) {
                *sum = sum.saturating_add(u64::from(slot.middle()));
                *count = count.saturating_add(1);
            }
        }
    }
    let mut order: Vec<_> = sums
        .iter()
        .zip(nodes)
        .enumerate()
        .map(|(index, ((sum, count), node))| {
            let middle = sum.checked_div(*count).unwrap_or_default();
            (
                u32::try_from(middle).unwrap_or(u32::MAX),
                index,
                height(node.note.is_some()),
            )
        })
        .collect();
    order.sort_unstable();
    spread(&mut order, end);
    // From the top down no box may be above its place; what then stands too low moves up again.
    let mut free = HEAD;
    let mut placed: Vec<(usize, Slot)> = Vec::with_capacity(order.len());
    for (middle, index, height) in order {
        let top = middle.saturating_sub(height / 2).max(free);
        free = top.saturating_add(height).saturating_add(GAP);
        placed.push((index, Slot { top, height }));
    }
    let needed = placed
        .iter()
        .map(|(_, slot)| slot.height + GAP)
        .fold(HEAD, u32::saturating_add);
    let mut limit = end.max(needed);
    for (_, slot) in placed.iter_mut().rev() {
        let lowest = limit.saturating_sub(slot.height).saturating_sub(GAP);
        slot.top = slot.top.min(lowest);
        limit = slot.top;
    }
    in_order(placed)
}

/// Moves places, in their order, half of the way to where they would stand evenly: what many rules share
/// would crowd in the middle.
fn spread(order: &mut [(u32, usize, u32)], end: u32) {
    let parts = u32::try_from(order.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(2);
    let room = end.saturating_sub(HEAD);
    let mut odd = 1_u32;
    for (middle, ..) in order {
        let even = u64::from(room).saturating_mul(u64::from(odd)) / u64::from(parts.max(1));
        let even = u32::try_from(even).unwrap_or(room).saturating_add(HEAD);
        *middle = (*middle / 2).saturating_add(even / 2);
        odd = odd.saturating_add(2);
    }
}

fn in_order(mut placed: Vec<(usize, Slot)>) -> Vec<Slot> {
    placed.sort_unstable_by_key(|(index, _)| *index);
    placed.into_iter().map(|(_, slot)| slot).collect()
}
