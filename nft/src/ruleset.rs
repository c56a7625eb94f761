use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Comment, Counter, Elements, ElementsKind, Limit, Log, Name, NamedCounter};

/// A table's family and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    /// Its family.
    pub family: TableFamily,
    /// Its name, one of its family's.
    pub name: Name,
}

/// What packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableFamily {
    /// `inet`: IPv4 and IPv6.
    Inet,
    /// `bridge`: the frames that a bridge takes from a port to another, or to the node.
    Bridge,
}

/// The content of one table.
///
/// Every chain, set and counter that a rule or verdict names is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// Which table.
    pub table: Table,
    /// The table's comment.
    pub comment: Option<Comment>,
    /// The chains, base chains included.
    pub chains: BTreeMap<Name, Chain>,
    /// The sets and verdict maps.
    pub sets: BTreeMap<Name, Set>,
    /// The counters that rules name.
    pub counters: BTreeMap<Name, NamedCounter>,
    /// What else another hand put into our table, read from the kernel, as `flowtable f`, `set Odd`: objects that we
    /// never make and cannot write. They are told apart by these words alone. While there are any, rules and verdicts
    /// may name some of them, and only replacing the whole table (delete, then create) is sure to be rid of them.
    pub foreign: BTreeSet<String>,
}

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where it hooks in; `None` for a chain that is only jumped to.
    pub base: Option<BaseChain>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// The comment.
    pub comment: Option<Comment>,
}

/// `type filter hook HOOK priority P; policy accept;`: the one kind of base chain that we need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// The hook.
    pub hook: Hook,
    /// The priority: in family `inet` conntrack is -200, dstnat -100, srcnat 100.
    pub priority: i32,
}

/// Where packets come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `prerouting`: all that comes in.
    Prerouting,
    /// `input`: what is for the node itself.
    Input,
    /// `forward`: what goes on to somebody else.
    Forward,
}

/// A set, or a verdict map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its elements, which also say its type.
    pub elements: Elements,
    /// The comment.
    pub comment: Option<Comment>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A rule of ours.
    Own(Statement),
    /// A rule that another hand put into our table, read from the kernel. It is only ever deleted.
    Foreign,
}

/// `MATCHES [counter] [limit] [log] ACTION [comment]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Statement {
    /// All must hold.
    pub matches: Vec<Match>,
    /// Where matching packets are counted, if they are. Counts are no part of the value: rules that differ in them are
    /// equal.
    pub counter: Option<Counter>,
    /// How many of them the rule goes on with.
    pub limit: Option<Limit>,
    /// Whom these are told.
    pub log: Option<Log>,
    /// What happens to these.
    pub action: Action,
    /// The comment.
    pub comment: Option<Comment>,
}

/// What a rule asks of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// `ct state invalid,untracked`: one of these, of which there is at least one.
    CtState(BTreeSet<CtState>),
    /// `ct state != related`.
    CtStateIsNot(CtState),
    /// `ct mark & 0xff000000 == 0x41000000`: what the packet's connection is marked with.
    CtMark(Mark),
    /// `meta l4proto 1`, by IP protocol number.
    L4Proto(u8),
    /// `icmpv6 type 133-137`, which implies IPv6.
    Icmpv6Types {
        /// The lowest type.
        first: u8,
        /// The highest type, not below `first`.
        last: u8,
    },
    /// `icmpv6 type 136 @th,64,128 0xfd...`: a neighbour advertisement about this address (RFC 4861, 4.4).
    NeighborAdvert(Ipv6Addr),
    /// `ip saddr 10.0.0.1`; the address says the family.
    Address(AddressField, IpAddr),
    /// `ip saddr @set`: the key is in a set.
    In(Key, Name),
    /// `iifname != @set`: there is such a key, and it is not in a set.
    NotIn(Key, Name),
    /// `fib saddr . iif oif missing`: the node would not send anything to the packet's source over the interface that it
    /// came from. At `prerouting`, `input` and `forward`. Not so of what comes from the loopback interface, of what asks
    /// for an address over DHCP, and of IPv6 packets of nobody yet (source `::`) to link-local addresses.
    FibMissing,
    /// `ip6 hoplimit 255`, which implies IPv6.
    HopLimit(u8),
    /// `udp dport 67`.
    UdpDport(u16),
    /// `tcp flags != syn / fin,syn,rst,ack`: it begins no connection.
    NotSyn,
    /// `meta l4proto sctp @th,96,8 != 0x1`: the first chunk of an SCTP packet is no INIT: it begins no association.
    NotInit,
    /// `meta pkttype broadcast`, or `multicast`: whom a frame was sent to.
    ToGroup(Group),
    /// `ether type != ip`, by number. A frame with a VLAN tag has the type of its outermost tag.
    EtherTypeIsNot(u16),
    /// `ether saddr != 02:00:00:00:00:01`.
    EtherSaddrIsNot([u8; 6]),
    /// `arp saddr ip 10.0.0.1`: the sender that an ARP packet claims, whatever it asks or says.
    ArpSaddr(Ipv4Addr),
}

/// Whom a frame is sent to that is for more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `broadcast`: everybody.
    Broadcast,
    /// `multicast`: some.
    Multicast,
}

/// What a packet is to its connection. Each packet has one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CtState {
    /// `invalid`: it fits no connection, nor begins one.
    Invalid,
    /// `new`: none has been seen in the other direction yet.
    New,
    /// `established`: packets have been seen in both directions.
    Established,
    /// `related`: an ICMP error of, or a helper's expectation from, another connection.
    Related,
    /// `untracked`: conntrack was told to leave it alone.
    Untracked,
}

/// Some bits of a connection's mark, `ct mark`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Which bits: the others are somebody else's.
    pub mask: u32,
    /// Their values. Bits outside the mask are 0.
    pub value: u32,
}

/// An address of a packet, or of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressField {
    /// `ip saddr`: the packet's source address.
    Saddr,
    /// `ip daddr`: the packet's destination address.
    Daddr,
    /// `ct original ip saddr`: who began the connection, whichever way the packet goes. There is none without connection.
    OriginalSaddr,
    /// `ct reply ip saddr`: who answers: the destination of the connection's first packet after DNAT, whichever way the
    /// packet goes. There is none without connection.
    ReplySaddr,
}

/// An address family, `meta nfproto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// `ip`.
    Ipv4,
    /// `ip6`.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];
}

/// What of the packet, or of its connection, is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `ip saddr`, `ct reply ip6 saddr`: implies the family.
    Address(Family, AddressField),
    /// `meta l4proto tcp ct reply proto-src`, by IP protocol number (6, 17 or 132): the port of who answers, that is, the
    /// destination port of the connection's first packet after DNAT.
    Port(u8),
    /// `meta l4proto tcp ct reply ip saddr . meta l4proto . ct reply proto-src`, by IP protocol number (6, 17 or 132):
    /// implies the family.
    Endpoint(Family, u8),
    /// `iifname`, `oifname`.
    Link(LinkField),
    /// `ip saddr . ct original ip saddr`: the packet's source, and an end of its connection. Implies the family.
    SourceAndEnd(Family, End),
}

/// An interface of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkField {
    /// `iifname`: where it came in. Of what crosses a bridge, the bridge in family `inet`, the port in family `bridge`.
    Iifname,
    /// `oifname`: where it goes out.
    Oifname,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// `ct original ip saddr`: who began it.
    Original,
    /// `ct reply ip saddr`: who answers.
    Reply,
}

/// What a rule does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing: the next rule is asked. For rules that count or log; nft has no words for one that does not even match.
    #[default]
    Continue,
    /// A fixed verdict.
    Verdict(Verdict),
    /// `ip saddr vmap @map`: the verdict that the map holds for the key; the rule does nothing where it holds none.
    Vmap(Key, Name),
    /// `ct mark set ct mark & 0x41ffffff | 0x41000000`: marks the packet's connection, and goes on with the next rule.
    SetCtMark(Mark),
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// `accept`: ends this base chain.
    Accept,
    /// `drop`.
    Drop,
    /// `jump chain`: comes back at that chain's end.
    Jump(Name),
    /// `goto chain`: at that chain's end the calling chain ends too.
    Goto(Name),
}

impl Elements {
    /// The type.
    pub fn kind(&self) -> ElementsKind {
        match self {
            Self::Ipv4(_) => ElementsKind::Ipv4,
            Self::Ipv6(_) => ElementsKind::Ipv6,
            Self::Ipv4Ranges(_) => ElementsKind::Ipv4Ranges,
            Self::Ipv6Ranges(_) => ElementsKind::Ipv6Ranges,
            Self::Ipv4Endpoints(_) => ElementsKind::Ipv4Endpoints,
            Self::Ipv6Endpoints(_) => ElementsKind::Ipv6Endpoints,
            Self::Ipv4Verdicts(_) => ElementsKind::Ipv4Verdicts,
            Self::Ipv6Verdicts(_) => ElementsKind::Ipv6Verdicts,
            Self::PortVerdicts(_) => ElementsKind::PortVerdicts,
            Self::PortRangeVerdicts(_) => ElementsKind::PortRangeVerdicts,
            Self::Ipv4Pairs(_) => ElementsKind::Ipv4Pairs,
            Self::Ipv6Pairs(_) => ElementsKind::Ipv6Pairs,
            Self::Links(_) => ElementsKind::Links,
            Self::LinkVerdicts(_) => ElementsKind::LinkVerdicts,
        }
    }
}

/// The table `name` of family `inet`.
impl From<Name> for Table {
    fn from(name: Name) -> Self {
        Self { family: TableFamily::Inet, name }
    }
}
