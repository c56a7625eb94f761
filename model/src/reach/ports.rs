use std::fmt;

use crate::spans::{Span, Spans, merge, subtract};
use crate::{PortMatch, PortRange, Protocol, Traffic};

/// A set of what connections may carry: ports by protocol, and protocols without ports.
///
/// Canonical: equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortSet {
    /// By protocol, in the order of [`Protocol::ALL`].
    spans: [Spans; Protocol::ALL.len()],
    others: bool,
}

impl PortSet {
    /// Everything.
    pub fn all() -> Self {
        Self { spans: Protocol::ALL.map(|_| vec![PortRange::ALL.into()]), others: true }
    }

    /// What one entry of a rule's `ports` names; nothing for a port's name.
    pub(super) fn of(entry: &PortMatch) -> Self {
        match entry {
            PortMatch::Numbers { protocol, ports } => Self::range(*protocol, *ports),
            PortMatch::Named { .. } => Self::default(),
        }
    }

    pub(crate) fn range(protocol: Protocol, ports: PortRange) -> Self {
        let spans = Protocol::ALL.map(|of| if of == protocol { vec![Span::from(ports)] } else { Spans::new() });
        Self { spans, others: false }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.others && self.spans.iter().all(Vec::is_empty)
    }

    /// Whether everything is in it.
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// Whether it holds what a connection carries.
    pub fn contains(&self, traffic: Traffic) -> bool {
        match traffic {
            Traffic::Port { protocol, port } => self.ranges_of(protocol).any(|range| range.contains(port)),
            Traffic::Other(_) => self.others,
        }
    }

    /// Whether protocols without ports are in it, such as ICMP.
    pub fn has_others(&self) -> bool {
        self.others
    }

    /// The ports of one protocol: ascending, disjoint and not touching.
    pub fn ranges_of(&self, protocol: Protocol) -> impl Iterator<Item = PortRange> + '_ {
        self.spans[protocol as usize].iter().copied().map(PortRange::from)
    }

    /// The ports of all protocols: by protocol, then ascending.
    pub fn ranges(&self) -> impl Iterator<Item = (Protocol, PortRange)> + '_ {
        Protocol::ALL.into_iter().flat_map(|protocol| self.ranges_of(protocol).map(move |range| (protocol, range)))
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let both = |a: &Spans, b: &Spans| if b.is_empty() { a.clone() } else { merge([&a[..], &b[..]].concat()) };
        self.with(other, both, self.others || other.others)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.with(other, |a, b| subtract(a, &subtract(a, b)), self.others && other.others)
    }

    /// What is not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.with(other, subtract, self.others && !other.others)
    }

    fn with(&self, other: &Self, spans: impl Fn(&Spans, &Spans) -> Spans, others: bool) -> Self {
        Self { spans: [0, 1, 2].map(|at| spans(&self.spans[at], &other.spans[at])), others }
    }
}

/// `TCP 80, TCP 8000-9000, UDP, other protocols`; `all ports` or `no port` where that is so.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all ports");
        }
        let range = |(protocol, range): (Protocol, PortRange)| match range {
            PortRange::ALL => protocol.to_string(),
            _ => format!("{protocol} {range}"),
        };
        let others = self.others.then(|| "other protocols".to_owned());
        let parts: Vec<String> = self.ranges().map(range).chain(others).collect();
        f.write_str(if parts.is_empty() { "no port" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(first: u16, last: u16) -> PortSet {
        PortSet::range(Protocol::Tcp, PortRange::new(first, last).unwrap())
    }

    #[test]
    fn sets_are_canonical() {
        assert_eq!(tcp(80, 90).union(&tcp(91, 99)), tcp(80, 99));
        assert_eq!(tcp(80, 99).without(&tcp(81, 98)), tcp(80, 80).union(&tcp(99, 99)));
        assert_eq!(tcp(80, 99).intersection(&tcp(90, 200)), tcp(90, 99));
        assert_eq!(PortSet::all().intersection(&tcp(1, 2)), tcp(1, 2));
        assert!(PortSet::all().without(&PortSet::all()).is_empty() && tcp(1, 2).union(&PortSet::all()).is_all());
    }

    #[test]
    fn sets_print_as_people_write_them() {
        let udp = PortSet::range(Protocol::Udp, PortRange::ALL);
        assert_eq!(tcp(80, 80).union(&tcp(8000, 9000)).union(&udp).to_string(), "TCP 80, TCP 8000-9000, UDP");
        assert_eq!(PortSet::all().without(&udp).to_string(), "TCP, SCTP, other protocols");
        assert_eq!(
            (PortSet::all().to_string(), PortSet::default().to_string()),
            ("all ports".into(), "no port".into())
        );
    }
}
