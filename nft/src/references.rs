//! Which chains, sets and counters rules and verdicts name.

use crate::{Action, Chain, Counter, ElementsKind, Family, Key, Match, Name, Rule, Ruleset, Statement, Verdict};

impl Verdict {
    /// The chain that it leads to.
    pub fn target(&self) -> Option<&Name> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept | Self::Drop => None,
        }
    }
}

impl Statement {
    /// The chain that it leads to by name: the targets of a verdict map are in the map.
    pub(crate) fn target(&self) -> Option<&Name> {
        match &self.action {
            Action::Verdict(verdict) => verdict.target(),
            Action::Continue | Action::Vmap(..) | Action::SetCtMark(_) => None,
        }
    }

    /// The counter that it names.
    pub fn named_counter(&self) -> Option<&Name> {
        self.counter.as_ref().and_then(Counter::name)
    }

    /// What it looks up, and in which sets.
    pub fn lookups(&self) -> impl Iterator<Item = (Key, &Name)> {
        let matched = self.matches.iter().filter_map(|m| match m {
            Match::In(key, set) | Match::NotIn(key, set) => Some((*key, set)),
            Match::CtState(_)
            | Match::CtStateIsNot(_)
            | Match::CtMark(_)
            | Match::L4Proto(_)
            | Match::Icmpv6Types { .. }
            | Match::NeighborAdvert(_)
            | Match::Address(..)
            | Match::FibMissing
            | Match::HopLimit(_)
            | Match::UdpDport(_)
            | Match::NotSyn
            | Match::NotInit
            | Match::ToGroup(_)
            | Match::EtherTypeIsNot(_)
            | Match::EtherSaddrIsNot(_)
            | Match::ArpSaddr(_) => None,
        });
        matched.chain(self.vmap())
    }

    /// The verdict map that it ends in.
    pub(crate) fn vmap(&self) -> Option<(Key, &Name)> {
        match &self.action {
            Action::Vmap(key, map) => Some((*key, map)),
            Action::Continue | Action::Verdict(_) | Action::SetCtMark(_) => None,
        }
    }
}

impl Chain {
    /// Its rules that are ours.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        Self::statements_of(&self.rules)
    }

    /// Those of `rules` that are ours.
    pub(crate) fn statements_of(rules: &[Rule]) -> impl Iterator<Item = &Statement> {
        rules.iter().filter_map(|rule| match rule {
            Rule::Own(statement) => Some(statement),
            Rule::Foreign => None,
        })
    }
}

impl Key {
    /// Whether it can be looked up in a set or map of type `kind`.
    pub(crate) fn fits(self, kind: ElementsKind) -> bool {
        use ElementsKind as Kind;
        match self {
            Self::Address(Family::Ipv4, _) => matches!(kind, Kind::Ipv4 | Kind::Ipv4Ranges | Kind::Ipv4Verdicts),
            Self::Address(Family::Ipv6, _) => matches!(kind, Kind::Ipv6 | Kind::Ipv6Ranges | Kind::Ipv6Verdicts),
            Self::Port(_) => matches!(kind, Kind::PortVerdicts | Kind::PortRangeVerdicts),
            Self::Endpoint(Family::Ipv4, _) => kind == Kind::Ipv4Endpoints,
            Self::Endpoint(Family::Ipv6, _) => kind == Kind::Ipv6Endpoints,
            Self::Link(_) => matches!(kind, Kind::Links | Kind::LinkVerdicts),
            Self::SourceAndEnd(Family::Ipv4, _) => kind == Kind::Ipv4Pairs,
            Self::SourceAndEnd(Family::Ipv6, _) => kind == Kind::Ipv6Pairs,
        }
    }
}

impl Ruleset {
    /// The chains that `chain` leads to, by name or through a verdict map.
    pub fn targets<'a>(&'a self, chain: &Name) -> impl Iterator<Item = &'a Name> + use<'a> {
        let statements = self.chains.get(chain).into_iter().flat_map(Chain::statements);
        statements.flat_map(|statement| {
            let map = statement.vmap().and_then(|(_, map)| self.sets.get(map));
            let mapped = map.into_iter().flat_map(|map| map.elements.verdicts().filter_map(Verdict::target));
            statement.target().into_iter().chain(mapped)
        })
    }

    /// The chains that rules and elements name.
    pub(crate) fn named_chains(&self) -> impl Iterator<Item = &Name> {
        let rules = self.chains.values().flat_map(Chain::statements).filter_map(Statement::target);
        let elements = self.sets.values().flat_map(|set| set.elements.verdicts()).filter_map(Verdict::target);
        rules.chain(elements)
    }
}
