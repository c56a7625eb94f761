//! Short words for the values of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use crate::{
    Action, AddressField, BaseChain, Chain, Comment, Counter, Elements, Family, Hook, Key, Limit, Log, LogPrefix,
    Match, Name, NamedCounter, Range, Rule, Ruleset, Set, Statement, Verdict,
};

pub(crate) const SADDR: Key = Key::Address(Family::Ipv4, AddressField::Saddr);
pub(crate) const DADDR: Key = Key::Address(Family::Ipv4, AddressField::Daddr);

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

pub(crate) fn v4(address: &str) -> Ipv4Addr {
    address.parse().unwrap()
}

pub(crate) fn table(chains: &[(&str, Chain)], sets: &[(&str, Elements)]) -> Ruleset {
    let mut ruleset = Ruleset::empty(name("palisade"));
    ruleset.chains = chains.iter().map(|(n, chain)| (name(n), chain.clone())).collect();
    ruleset.sets = sets.iter().map(|(n, elements)| (name(n), set(elements.clone()))).collect();
    ruleset
}

pub(crate) fn set(elements: Elements) -> Set {
    Set { elements, comment: None }
}

pub(crate) fn chain(rules: impl IntoIterator<Item = Statement>) -> Chain {
    Chain { rules: rules.into_iter().map(Rule::Own).collect(), ..Chain::default() }
}

pub(crate) fn base(priority: i32, rules: impl IntoIterator<Item = Statement>) -> Chain {
    Chain { base: Some(BaseChain { hook: Hook::Forward, priority }), ..chain(rules) }
}

pub(crate) fn commented(chain: Chain, comment: &str) -> Chain {
    Chain { comment: Some(Comment::new(comment)), ..chain }
}

pub(crate) fn rule(matches: impl IntoIterator<Item = Match>, verdict: Verdict) -> Statement {
    let matches = matches.into_iter().collect();
    Statement { matches, action: Action::Verdict(verdict), ..Statement::default() }
}

pub(crate) fn vmap(key: Key, map: &str) -> Statement {
    Statement { action: Action::Vmap(key, name(map)), ..Statement::default() }
}

pub(crate) fn within(key: Key, set: &str) -> Match {
    Match::In(key, name(set))
}

pub(crate) fn jump(chain: &str) -> Verdict {
    Verdict::Jump(name(chain))
}

pub(crate) fn goto(chain: &str) -> Verdict {
    Verdict::Goto(name(chain))
}

pub(crate) fn addresses(addresses: &[&str]) -> Elements {
    Elements::Ipv4(addresses.iter().map(|a| v4(a)).collect())
}

pub(crate) fn ranges(ranges: &[(&str, &str)]) -> Elements {
    let ranges: BTreeSet<_> = ranges.iter().map(|(a, b)| Range { first: v4(a), last: v4(b) }).collect();
    Elements::Ipv4Ranges(ranges)
}

pub(crate) fn verdicts<const N: usize>(verdicts: [(&str, Verdict); N]) -> Elements {
    let verdicts: BTreeMap<_, _> = verdicts.into_iter().map(|(a, verdict)| (v4(a), verdict)).collect();
    Elements::Ipv4Verdicts(verdicts)
}

pub(crate) fn limit(rate: u32, burst: u32) -> Limit {
    Limit { rate: NonZeroU32::new(rate).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

pub(crate) fn log(prefix: &str, group: u16, snaplen: u32) -> Log {
    Log { prefix: LogPrefix::new(prefix).unwrap(), group, snaplen: NonZeroU32::new(snaplen) }
}

/// A rule that counts in `counter`, and says so, now and then, in group 6.
pub(crate) fn told(counter: &str) -> Statement {
    Statement {
        counter: Some(Counter::Named(name(counter))),
        limit: Some(limit(10, 7)),
        log: Some(log(&format!("{counter} "), 6, 192)),
        ..Statement::default()
    }
}

/// Counters without comments.
pub(crate) fn counters(counters: &[&str]) -> BTreeMap<Name, NamedCounter> {
    counters.iter().map(|counter| (name(counter), NamedCounter::default())).collect()
}

/// What one pod looks like.
pub(crate) fn one_pod() -> Ruleset {
    let comment = Some(Comment::new("shop/web egress"));
    let counted = Statement { counter: Some(Counter::Own), comment, ..rule([], Verdict::Drop) };
    let pod = chain([
        rule([Match::Address(AddressField::Daddr, v4("10.1.1.1").into())], Verdict::Accept),
        vmap(Key::Port(6), "ports"),
        rule([within(DADDR, "cidrs")], Verdict::Accept),
        counted,
    ]);
    let ports = [(Range { first: 80, last: 80 }, Verdict::Accept), (Range { first: 90, last: 100 }, jump("segment"))];
    let mut ruleset = table(
        &[
            ("egress", base(-20, [rule([Match::L4Proto(1)], Verdict::Accept), vmap(SADDR, "egress-pods")])),
            ("segment", chain([rule([within(DADDR, "pods")], Verdict::Accept)])),
            ("pod-shop-web", commented(pod, "pod shop/web")),
        ],
        &[
            ("cidrs", ranges(&[("10.0.0.0", "10.255.255.255"), ("11.0.0.3", "11.0.0.9")])),
            ("egress-pods", verdicts([("10.1.1.1", goto("pod-shop-web"))])),
            ("pods", addresses(&["10.1.1.1", "10.1.1.2"])),
            ("ports", Elements::PortRangeVerdicts(ports.into())),
        ],
    );
    ruleset.comment = Some(Comment::new("layout 1"));
    ruleset
}
