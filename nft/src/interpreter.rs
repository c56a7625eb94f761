//! Walks a packet through a ruleset, as the kernel would.

mod lookup;

use std::net::IpAddr;

use thiserror::Error;

use crate::{
    Action, AddressField, BaseChain, Chain, Counter, CtState, Hook, LogPrefix, Mark, Match, Name, Rule, Ruleset,
    Statement, Verdict, depth,
};

/// A packet at the forward hook, as far as our rules look at it: one that goes the way of its connection's first packet,
/// so that the connection's ends are the packet's. Of packets that go the other way rules see the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The source address.
    pub source: IpAddr,
    /// The destination address, of the source's family, after DNAT.
    pub destination: IpAddr,
    /// What is above IP.
    pub transport: Transport,
    /// What conntrack says of it.
    pub state: PacketState,
    /// The mark of its connection, `ct mark`: 0 where there is none.
    pub mark: u32,
    /// The hop limit: a packet that is routed to its destination never has the highest, 255.
    pub hop_limit: u8,
    /// Whether it could be the first of its connection: of TCP a SYN, of SCTP an INIT, any packet of other protocols.
    pub begins: bool,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// What is above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A protocol with ports: TCP, UDP, SCTP.
    Ports {
        /// The IP protocol number.
        protocol: u8,
        /// The destination port.
        destination: u16,
    },
    /// ICMPv6, of this type.
    Icmpv6(u8),
    /// Another protocol, by number.
    Other(u8),
}

/// `ct state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in nft")]
pub enum PacketState {
    New,
    Established,
    Related,
    Invalid,
    Untracked,
}

/// The way of a packet through a ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// What becomes of it.
    pub verdict: Outcome,
    /// The rules that gave a verdict, in order.
    pub trace: Vec<Step>,
    /// The named counters that counted it and the logs that told of it, in order. No limit is ever reached.
    pub met: Vec<Met>,
    /// The mark of its connection afterwards.
    pub mark: u32,
    /// How many sets and maps were looked up.
    pub lookups: usize,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It passes.
    Accept,
    /// It does not.
    Drop,
}

/// A rule that gave a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The chain.
    pub chain: Name,
    /// The rule's index in it.
    pub rule: usize,
    /// The verdict: a verdict map's is the one it holds for the packet.
    pub verdict: Verdict,
}

/// What a packet met that counts it, or tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// A named counter.
    Counter(Name),
    /// A log with this prefix.
    Log(LogPrefix),
}

/// Why a packet cannot be walked through a ruleset: one that the kernel would not have taken, or that is not all ours.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WalkError {
    /// A verdict names a chain that is not there.
    #[error("there is no chain {0}")]
    NoSuchChain(Name),
    /// A rule names a set that is not there.
    #[error("there is no set {0}")]
    NoSuchSet(Name),
    /// A rule names a counter that is not there.
    #[error("there is no counter {0}")]
    NoSuchCounter(Name),
    /// A rule looks up what a set of that type cannot hold.
    #[error("set {0} is not of the type of the key that is looked up in it")]
    WrongType(Name),
    /// Chains lead to chains deeper than the kernel allows, or in circles.
    #[error("chain {0} is more than {max} chains deep", max = depth::MAX)]
    TooDeep(Name),
    /// The packet met a rule that is not ours: what it does is not known.
    #[error("rule {rule} of chain {chain} is not ours, so what it does is not known")]
    Foreign {
        /// The chain.
        chain: Name,
        /// The rule's index in it.
        rule: usize,
    },
}

/// Walks `packet` through all base chains of the forward hook in the order of their priorities (equal ones by name): an accept ends one base
/// chain, a drop ends the walk, and what falls off a base chain's end is accepted by its policy.
///
/// # Errors
/// [`WalkError`] where the ruleset is not one that the kernel would take, or holds foreign rules on the way.
pub fn walk(ruleset: &Ruleset, packet: &Packet) -> Result<Walk, WalkError> {
    walk_at(Hook::Forward, ruleset, packet)
}

/// The same at another hook. What rules ask of that hook alone (`fib`) is not known here.
///
/// # Errors
/// As [`walk`].
pub fn walk_at(hook: Hook, ruleset: &Ruleset, packet: &Packet) -> Result<Walk, WalkError> {
    let at_hook = |base: BaseChain| (base.hook == hook).then_some(base.priority);
    let mut base_chains: Vec<_> =
        ruleset.chains.iter().filter_map(|(name, chain)| Some((at_hook(chain.base?)?, name, chain))).collect();
    base_chains.sort_by_key(|(priority, name, _)| (*priority, *name));
    let mut walker = Walker { ruleset, packet, mark: packet.mark, trace: vec![], met: vec![], lookups: 0 };
    let mut verdict = Outcome::Accept;
    for (_, name, chain) in base_chains {
        if walker.chain(name, chain, 0)? == Flow::Drop {
            verdict = Outcome::Drop;
            break;
        }
    }
    let Walker { trace, met, mark, lookups, .. } = walker;
    Ok(Walk { verdict, trace, met, mark, lookups })
}

struct Walker<'a> {
    ruleset: &'a Ruleset,
    packet: &'a Packet,
    mark: u32,
    trace: Vec<Step>,
    met: Vec<Met>,
    lookups: usize,
}

#[derive(PartialEq, Eq)]
enum Flow {
    Accept,
    Drop,
    Return,
}

impl<'a> Walker<'a> {
    fn chain(&mut self, name: &Name, chain: &'a Chain, level: usize) -> Result<Flow, WalkError> {
        for (index, rule) in chain.rules.iter().enumerate() {
            let Rule::Own(statement) = rule else {
                return Err(WalkError::Foreign { chain: name.clone(), rule: index });
            };
            let Some(verdict) = self.judge(statement)? else { continue };
            self.trace.push(Step { chain: name.clone(), rule: index, verdict: verdict.clone() });
            match verdict {
                Verdict::Accept => return Ok(Flow::Accept),
                Verdict::Drop => return Ok(Flow::Drop),
                Verdict::Goto(target) => return self.target(target, level),
                Verdict::Jump(target) => match self.target(target, level)? {
                    Flow::Return => {}
                    flow => return Ok(flow),
                },
            }
        }
        Ok(Flow::Return)
    }

    fn target(&mut self, name: &Name, level: usize) -> Result<Flow, WalkError> {
        if level == depth::MAX {
            return Err(WalkError::TooDeep(name.clone()));
        }
        let chain = self.ruleset.chains.get(name).ok_or_else(|| WalkError::NoSuchChain(name.clone()))?;
        self.chain(name, chain, level + 1)
    }

    fn judge(&mut self, statement: &'a Statement) -> Result<Option<&'a Verdict>, WalkError> {
        for condition in &statement.matches {
            if !self.matches(condition)? {
                return Ok(None);
            }
        }
        self.meet(statement)?;
        match &statement.action {
            Action::Continue => Ok(None),
            Action::Verdict(verdict) => Ok(Some(verdict)),
            Action::Vmap(key, map) => self.lookup_verdict(*key, map),
            Action::SetCtMark(Mark { mask, value }) => {
                if self.packet.is_tracked() {
                    self.mark = self.mark & !mask | value;
                }
                Ok(None)
            }
        }
    }

    fn meet(&mut self, statement: &Statement) -> Result<(), WalkError> {
        if let Some(Counter::Named(name)) = &statement.counter {
            if !self.ruleset.counters.contains_key(name) {
                return Err(WalkError::NoSuchCounter(name.clone()));
            }
            self.met.push(Met::Counter(name.clone()));
        }
        self.met.extend(statement.log.iter().map(|log| Met::Log(log.prefix.clone())));
        Ok(())
    }

    fn matches(&mut self, condition: &Match) -> Result<bool, WalkError> {
        let Packet { source, transport, state, hop_limit, begins, .. } = *self.packet;
        Ok(match condition {
            Match::CtState(states) => states.iter().any(|one| state.is(*one)),
            Match::CtStateIsNot(other) => !state.is(*other),
            Match::CtMark(Mark { mask, value }) => self.packet.is_tracked() && self.mark & mask == *value,
            Match::L4Proto(number) => transport.protocol() == *number,
            Match::Icmpv6Types { first, last } => {
                matches!(transport, Transport::Icmpv6(kind) if source.is_ipv6() && (*first..=*last).contains(&kind))
            }
            Match::Address(field, address) => self.packet.address(*field) == Some(*address),
            Match::In(key, set) => self.lookup_membership(*key, set)? == Some(true),
            Match::NotIn(key, set) => self.lookup_membership(*key, set)? == Some(false),
            Match::UdpDport(port) => transport == Transport::Ports { protocol: UDP, destination: *port },
            Match::NotSyn => transport.protocol() == TCP && !begins,
            Match::NotInit => transport.protocol() == SCTP && !begins,
            Match::HopLimit(limit) => source.is_ipv6() && hop_limit == *limit,
            // It is forwarded, so it came from where it may; and it is no frame.
            Match::FibMissing
            | Match::NeighborAdvert(_)
            | Match::ToGroup(_)
            | Match::EtherTypeIsNot(_)
            | Match::EtherSaddrIsNot(_)
            | Match::ArpSaddr(_) => false,
        })
    }
}

impl Packet {
    /// One that was routed here, of a connection that is not marked, and that could have begun it.
    pub fn new(source: IpAddr, destination: IpAddr, transport: Transport, state: PacketState) -> Self {
        Self { source, destination, transport, state, mark: 0, hop_limit: 63, begins: true }
    }

    /// Whether it belongs to a connection.
    fn is_tracked(&self) -> bool {
        !matches!(self.state, PacketState::Invalid | PacketState::Untracked)
    }

    fn address(&self, field: AddressField) -> Option<IpAddr> {
        match field {
            AddressField::Saddr => Some(self.source),
            AddressField::Daddr => Some(self.destination),
            AddressField::OriginalSaddr => self.is_tracked().then_some(self.source),
            AddressField::ReplySaddr => self.is_tracked().then_some(self.destination),
        }
    }
}

impl PacketState {
    fn is(self, state: CtState) -> bool {
        let same = match state {
            CtState::Invalid => Self::Invalid,
            CtState::New => Self::New,
            CtState::Established => Self::Established,
            CtState::Related => Self::Related,
            CtState::Untracked => Self::Untracked,
        };
        self == same
    }
}

impl Transport {
    /// The IP protocol number.
    pub fn protocol(self) -> u8 {
        match self {
            Self::Ports { protocol, .. } | Self::Other(protocol) => protocol,
            Self::Icmpv6(_) => 58,
        }
    }
}

#[cfg(test)]
mod tests;
