//! Small random rulesets that the kernel takes, of few names, so that two of them have much in common.

mod values;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;

use self::values::{address, blocks, comment_of, endpoint, hook, ipv4, ipv6, key, link, mark, remark};
use super::build::{limit, log, name};
use crate::netlink::tests::namespace::takes_fib_everywhere;
use crate::{
    Action, AddressField, BaseChain, Chain, Counter, CtState, Edit, Elements, ElementsKind, Match, Name, NamedCounter,
    Operation, Pair, Range, Rule, Ruleset, Set, SetEdit, Statement, Verdict,
};

/// The first two are base chains. A chain leads only to later ones, a map only to the last two, which look up no maps:
/// so there are no circles.
const CHAINS: [&str; 7] = ["base-0", "base-1", "chain-0", "chain-1", "chain-2", "chain-3", "chain-4"];
pub(crate) const SETS: [&str; 5] = ["set-0", "set-1", "set-2", "set-3", "set-4"];
const MAPPED: usize = 5;
const COUNTERS: [&str; 3] = ["counter-0", "counter-1", "counter-2"];
const ALL: usize = CHAINS.len() + SETS.len() + COUNTERS.len();

/// A ruleset in numbers, which [`Sketch::build`] makes sense of whatever they are.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    chains: Vec<Option<ChainSketch>>,
    sets: Vec<Option<SetSketch>>,
    /// Which counters are there. What a counter's comment is follows from its name: it cannot be changed.
    counters: Vec<bool>,
}

#[derive(Clone, Debug)]
struct ChainSketch {
    priority: i32,
    comment: Option<u8>,
    rules: Vec<Numbers>,
}

/// A rule.
type Numbers = [u8; 8];

#[derive(Clone, Debug)]
struct SetSketch {
    kind: ElementsKind,
    comment: Option<u8>,
    elements: Vec<(u8, u8)>,
}

pub(crate) fn rulesets() -> impl Strategy<Value = Ruleset> {
    sketches().prop_map(|sketch| sketch.build())
}

/// Two rulesets that have something in common.
pub(crate) fn pairs() -> impl Strategy<Value = (Ruleset, Ruleset)> {
    alike(0).prop_map(|(before, after)| (before.build(), after.build()))
}

/// Two rulesets between which nothing is re-created.
pub(crate) fn steady_pairs() -> impl Strategy<Value = (Ruleset, Ruleset)> {
    alike(1).prop_map(|(before, after)| (before.build(), after.build()))
}

/// Three, of which each has most in common with the one before: little changes from one to the next.
pub(crate) fn triples() -> impl Strategy<Value = (Ruleset, Ruleset, Ruleset)> {
    let changed = || subsequence((0..ALL).collect::<Vec<_>>(), 0..4);
    (sketches(), sketches(), sketches(), changed(), changed()).prop_map(
        |(first, second, third, to_second, to_third)| {
            let second = first.with(&second, &to_second);
            let third = second.with(&third, &to_third);
            (first.build(), second.build(), third.build())
        },
    )
}

/// A ruleset and operations that make no sense: what they name may be missing, in use, or in the way. Elements are of
/// their sets' types, which commands for nft do not say.
pub(crate) fn operations() -> impl Strategy<Value = (Ruleset, Vec<Operation>)> {
    (alike(1), vec(any::<Numbers>(), 1..6)).prop_map(|((before, after), numbers)| {
        let ruleset = after.build();
        (before.build(), numbers.into_iter().map(|numbers| operation(&after, &ruleset, numbers)).collect())
    })
}

/// A ruleset, another, and an edit that makes the second of the first, saying more than it needs to.
pub(crate) fn edits() -> impl Strategy<Value = (Ruleset, Ruleset, Edit)> {
    (pairs(), vec(0..3_u8, ALL)).prop_map(|((before, after), ways)| {
        let mut ways = ways.into_iter().cycle();
        let mut edit = Edit::default();
        for chain in CHAINS.map(name) {
            let to = after.chains.get(&chain);
            if before.chains.get(&chain) != to || ways.next() == Some(0) {
                edit.chains.insert(chain, to.cloned());
            }
        }
        for set in SETS.map(name) {
            let (from, to) = (before.sets.get(&set), after.sets.get(&set));
            if from != to || ways.next() == Some(0) {
                edit.sets.insert(set, set_edit(from, to, ways.next().unwrap_or_default()));
            }
        }
        for counter in COUNTERS.map(name) {
            let to = after.counters.get(&counter);
            if before.counters.get(&counter) != to || ways.next() == Some(0) {
                edit.counters.insert(counter, to.cloned());
            }
        }
        (before, after, edit)
    })
}

fn set_edit(from: Option<&Set>, to: Option<&Set>, way: u8) -> SetEdit {
    let Some(to) = to else { return SetEdit::Remove };
    let Some(from) = from.filter(|from| from.comment == to.comment) else { return SetEdit::Put(to.clone()) };
    match (from.elements.difference_to(&to.elements), way) {
        (Some((remove, add)), 1) => SetEdit::Elements { add, remove },
        (Some(_), 2) => SetEdit::Elements { add: to.elements.clone(), remove: from.elements.clone() },
        _ => SetEdit::Put(to.clone()),
    }
}

fn sketches() -> impl Strategy<Value = Sketch> {
    let chain = (-30..30, option::weighted(0.3, 0..2_u8), vec(any::<Numbers>(), 0..4))
        .prop_map(|(priority, comment, rules)| ChainSketch { priority, comment, rules });
    let set = (0..ElementsKind::ALL.len(), option::weighted(0.3, 0..2_u8), vec((0..16_u8, any::<u8>()), 0..6))
        .prop_map(|(kind, comment, elements)| SetSketch { kind: ElementsKind::ALL[kind], comment, elements });
    let chains = vec(option::weighted(0.8, chain), CHAINS.len());
    let sets = vec(option::weighted(0.8, set), SETS.len());
    let counters = vec(weighted(0.8), COUNTERS.len());
    (chains, sets, counters).prop_map(|(chains, sets, counters)| Sketch { chains, sets, counters })
}

/// Two sketches. Of what is in both, 0: each has its own, 1: the kernel can make the one of the other, 2: it is equal;
/// at least `likeness`.
fn alike(likeness: u8) -> impl Strategy<Value = (Sketch, Sketch)> {
    (sketches(), sketches(), vec(likeness..3, CHAINS.len() + SETS.len())).prop_map(|(before, mut after, likeness)| {
        let mut likeness = likeness.into_iter();
        for (before, after) in before.chains.iter().zip(&mut after.chains) {
            if let (Some(before), Some(after), Some(likeness @ 1..)) = (before, after, likeness.next()) {
                let rules = if likeness == 1 { after.rules.clone() } else { before.rules.clone() };
                *after = ChainSketch { rules, ..before.clone() };
            }
        }
        for (before, after) in before.sets.iter().zip(&mut after.sets) {
            if let (Some(before), Some(after), Some(likeness @ 1..)) = (before, after, likeness.next()) {
                let elements = if likeness == 1 { after.elements.clone() } else { before.elements.clone() };
                *after = SetSketch { elements, ..before.clone() };
            }
        }
        (before, after)
    })
}

impl Sketch {
    /// With those chains and sets, by number, of another. A set keeps its type, and what is there keeps its comment.
    fn with(&self, other: &Self, numbers: &[usize]) -> Self {
        let mut sketch = self.clone();
        for number in numbers {
            let counter = number.checked_sub(CHAINS.len() + SETS.len());
            if let Some(counter) = counter {
                sketch.counters[counter] = other.counters[counter];
                continue;
            }
            match number.checked_sub(CHAINS.len()) {
                None => {
                    let comment_of = |chain: &ChainSketch| (chain.priority, chain.comment);
                    let mut chain = other.chains[*number].clone();
                    if let (Some(before), Some(chain)) = (&self.chains[*number], &mut chain) {
                        (chain.priority, chain.comment) = comment_of(before);
                    }
                    sketch.chains[*number] = chain;
                }
                Some(number) => {
                    let mut set = other.sets[number].clone();
                    if let (Some(before), Some(set)) = (&self.sets[number], &mut set) {
                        (set.kind, set.comment) = (before.kind, before.comment);
                    }
                    sketch.sets[number] = set;
                }
            }
        }
        sketch
    }

    fn build(&self) -> Ruleset {
        let mut ruleset = Ruleset::empty(name("palisade"));
        for (i, sketch) in self.sets.iter().enumerate() {
            if let Some(SetSketch { kind, comment, elements }) = sketch {
                let elements = self.elements(*kind, elements);
                ruleset.sets.insert(name(SETS[i]), Set { elements, comment: comment.map(remark) });
            }
        }
        for counter in (0..COUNTERS.len()).filter_map(|number| self.counter(number)) {
            let comment = comment_of(&counter);
            ruleset.counters.insert(counter, NamedCounter { comment });
        }
        for (i, sketch) in self.chains.iter().enumerate() {
            if let Some(ChainSketch { priority, comment, rules }) = sketch {
                let base = (i < 2).then_some(BaseChain { hook: hook(i), priority: *priority });
                let rules = rules.iter().map(|numbers| Rule::Own(self.rule(i, *numbers))).collect();
                ruleset.chains.insert(name(CHAINS[i]), Chain { base, rules, comment: comment.map(remark) });
            }
        }
        ruleset
    }

    fn rule(&self, chain: usize, numbers: Numbers) -> Statement {
        let [.., counting, telling] = numbers;
        let Statement { matches, action, comment, .. } = self.judging(chain, numbers);
        let named = || self.counter(usize::from(counting / 4) % COUNTERS.len());
        let counter = match counting % 4 {
            0 => None,
            1 => Some(Counter::Own),
            _ => named().map(Counter::Named),
        };
        let limit = telling.is_multiple_of(2).then(|| limit(1 + u32::from(telling), 1 + u32::from(telling % 8)));
        let prefix = format!(" pod-{telling} *{{}}'#;\\ *");
        let log = telling.is_multiple_of(3).then(|| log(&prefix, telling.into(), (telling % 4).into()));
        let says_something = !matches.is_empty() || counter.is_some() || limit.is_some() || log.is_some();
        let action = if says_something && telling.is_multiple_of(5) { Action::Continue } else { action };
        Statement { matches, counter, limit, log, action, comment }
    }

    fn counter(&self, number: usize) -> Option<Name> {
        self.counters[number].then(|| name(COUNTERS[number]))
    }

    /// What a rule asks, and does then.
    fn judging(&self, chain: usize, [first, second, field, set, action, rest, ..]: Numbers) -> Statement {
        let field = [AddressField::Saddr, AddressField::Daddr, AddressField::OriginalSaddr, AddressField::ReplySaddr]
            [usize::from(field) % 4];
        let set = usize::from(set) % SETS.len();
        let kind = self.sets[set].as_ref().map(|set| set.kind);
        let mut matches = match first % 8 {
            0 => vec![Match::CtState([CtState::Invalid, CtState::Untracked].into())],
            1 => vec![Match::CtStateIsNot(CtState::Related)],
            2 => vec![Match::CtMark(mark(rest))],
            3 if takes_fib_everywhere() => vec![Match::FibMissing],
            4 if (2..6).contains(&(second % 8)) => {
                let begins_nothing = if rest.is_multiple_of(2) { Match::NotSyn } else { Match::NotInit };
                vec![Match::CtState([CtState::New].into()), begins_nothing]
            }
            _ => vec![],
        };
        let action = match kind {
            Some(kind) if kind.is_map() && chain < MAPPED => Action::Vmap(key(kind, field, rest), name(SETS[set])),
            kind => {
                match (second % 8, kind) {
                    (0, _) => matches.push(Match::L4Proto([1, 6, 17, 58, 132][usize::from(rest) % 5])),
                    (1, _) => matches.push(Match::Icmpv6Types { first: rest / 2, last: 128 + rest / 2 }),
                    (6, _) => matches.push(Match::HopLimit(rest)),
                    (7, _) => matches.push(Match::UdpDport(rest.into())),
                    (2, _) => matches.push(Match::Address(field, address(rest, second))),
                    (3.., Some(kind)) if !kind.is_map() => {
                        let (key, set) = (key(kind, field, rest), name(SETS[set]));
                        matches.push(if rest.is_multiple_of(3) { Match::NotIn(key, set) } else { Match::In(key, set) });
                    }
                    _ => {}
                }
                if action == 255 {
                    return Statement { matches, action: Action::SetCtMark(mark(rest)), ..Statement::default() };
                }
                Action::Verdict(self.verdict(chain + 1, action))
            }
        };
        let comment = rest.is_multiple_of(5).then(|| remark(rest));
        Statement { matches, action, comment, ..Statement::default() }
    }

    /// A verdict that leads, if anywhere, to a chain from `first` on.
    fn verdict(&self, first: usize, number: u8) -> Verdict {
        let target = first.max(2) + usize::from(number / 4) % CHAINS.len();
        let there = self.chains.get(target).is_some_and(Option::is_some);
        match number % 4 {
            0 if there => Verdict::Jump(name(CHAINS[target])),
            1 if there => Verdict::Goto(name(CHAINS[target])),
            0 | 2 => Verdict::Accept,
            _ => Verdict::Drop,
        }
    }

    fn elements(&self, kind: ElementsKind, points: &[(u8, u8)]) -> Elements {
        let points: BTreeMap<u8, u8> = points.iter().copied().collect();
        let keys = || points.keys().copied();
        let verdict = |number: u8| self.verdict(MAPPED, number);
        match kind {
            ElementsKind::Ipv4 => Elements::Ipv4(keys().map(ipv4).collect()),
            ElementsKind::Ipv6 => Elements::Ipv6(keys().map(ipv6).collect()),
            ElementsKind::Ipv4Ranges => Elements::Ipv4Ranges(blocks(&points, |b, full| {
                Ipv4Addr::from_bits(u32::from(b) << 28 | if full { u32::MAX >> 4 } else { 0 })
            })),
            ElementsKind::Ipv6Ranges => Elements::Ipv6Ranges(blocks(&points, |b, full| {
                Ipv6Addr::from_bits(u128::from(b) << 124 | if full { u128::MAX >> 4 } else { 0 })
            })),
            ElementsKind::Ipv4Endpoints => Elements::Ipv4Endpoints(keys().map(|p| endpoint(ipv4(p / 4), p)).collect()),
            ElementsKind::Ipv6Endpoints => Elements::Ipv6Endpoints(keys().map(|p| endpoint(ipv6(p / 4), p)).collect()),
            ElementsKind::Ipv4Verdicts => {
                Elements::Ipv4Verdicts(points.iter().map(|(p, v)| (ipv4(*p), verdict(*v))).collect())
            }
            ElementsKind::Ipv6Verdicts => {
                Elements::Ipv6Verdicts(points.iter().map(|(p, v)| (ipv6(*p), verdict(*v))).collect())
            }
            ElementsKind::PortVerdicts => {
                Elements::PortVerdicts(points.iter().map(|(p, v)| (u16::from(*p), verdict(*v))).collect())
            }
            ElementsKind::PortRangeVerdicts => {
                let ranges: Vec<Range<u16>> =
                    blocks(&points, |b, full| u16::from(b) << 12 | if full { u16::MAX >> 4 } else { 0 });
                Elements::PortRangeVerdicts(ranges.into_iter().zip(points.values().map(|v| verdict(*v))).collect())
            }
            ElementsKind::Ipv4Pairs => Elements::Ipv4Pairs(keys().map(|p| Pair(ipv4(p / 4), ipv4(p))).collect()),
            ElementsKind::Ipv6Pairs => Elements::Ipv6Pairs(keys().map(|p| Pair(ipv6(p / 4), ipv6(p))).collect()),
            ElementsKind::Links => Elements::Links(keys().map(link).collect()),
            ElementsKind::LinkVerdicts => {
                Elements::LinkVerdicts(points.iter().map(|(p, v)| (link(*p), verdict(*v))).collect())
            }
        }
    }
}

fn operation(sketch: &Sketch, ruleset: &Ruleset, numbers: Numbers) -> Operation {
    let chain = usize::from(numbers[1]) % CHAINS.len();
    let set = name(SETS[usize::from(numbers[2]) % SETS.len()]);
    let elements = ruleset.sets.get(&set).map_or(Elements::empty(ElementsKind::Ipv4), |set| set.elements.clone());
    let base = (chain < 2).then_some(BaseChain { hook: hook(chain), priority: i32::from(numbers[3] % 2) });
    let counter = name(COUNTERS[usize::from(numbers[4]) % COUNTERS.len()]);
    let (name, kind) = (name(CHAINS[chain]), elements.kind());
    match numbers[0] % 14 {
        0 => Operation::CreateChain { name, base, comment: None },
        1 => Operation::CreateSet { name: set, kind, comment: None },
        2 | 3 if !elements.is_empty() => Operation::DeleteElements { set, elements },
        4 | 5 if !elements.is_empty() => Operation::AddElements { set, elements },
        2..=6 => Operation::FlushChain { chain: name },
        7 | 8 => Operation::AddRule { chain: name, rule: sketch.rule(chain, numbers) },
        9 => Operation::DeleteSet { name: set },
        10 => Operation::CreateCounter { comment: comment_of(&counter), name: counter },
        11 => Operation::DeleteCounter { name: counter },
        _ => Operation::DeleteChain { name },
    }
}
