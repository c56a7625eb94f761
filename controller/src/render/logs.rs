//! What rules tell of the packets that they drop, or would drop: to an NFLOG group, a few a second.
//!
//! The prefix says what is told, and of which pod: `palisade policy egress shop/db-0`. A flood costs what a trickle does, since
//! each pod and direction has a limit of its own; what is not told is counted all the same.

use std::num::NonZeroU32;

use palisade_model::{Direction, NamespacedName};
use palisade_nft::{Chain, Counter, Limit, Log, LogPrefix, Name, Rule, Ruleset, Statement};

use super::names;

/// The group of NFLOG that is told; `None`: nobody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logs(pub Option<u16>);

impl Logs {
    /// The group that is told where no other is asked for.
    pub const STANDARD: Self = Self(Some(9467));

    /// What a ruleset that the kernel holds tells; `None` where that cannot be seen, because it tells nothing of anybody.
    pub fn of(ruleset: &Ruleset) -> Option<Self> {
        let rules = ruleset.chains.values().flat_map(|chain: &Chain| &chain.rules);
        let mut counting = rules.filter_map(|rule| match rule {
            Rule::Own(Statement { counter: Some(Counter::Named(_)), log, .. }) => Some(log.as_ref()),
            Rule::Own(_) | Rule::Foreign => None,
        });
        let first = counting.next()?;
        Some(Self(first.into_iter().chain(counting.flatten()).next().map(|log| log.group)))
    }
}

/// Why a packet is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// No policy allows it.
    Policy,
    /// A cluster policy denies it.
    Tier,
    /// Audited policies would drop it.
    Audit,
    /// It cannot be from the pod that sent it.
    Forged,
    /// Nobody saw begin what it belongs to, or it belongs to nothing.
    NoConnection,
}

/// What a prefix says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Why it is told.
    pub told: Told,
    /// Whose connection it is: for egress, the pod opened it.
    pub direction: Direction,
    /// The pod as far as it is named, as [`pod_text`] gives it.
    pub pod: Option<String>,
}

/// How many packets of one pod and direction are told a second, and at once.
const RATE: NonZeroU32 = NonZeroU32::new(10).expect("it is not 0");
const BURST: NonZeroU32 = NonZeroU32::new(20).expect("it is not 0");
/// How much of a packet is told: enough for the headers.
const SNAPLEN: NonZeroU32 = NonZeroU32::new(128).expect("it is not 0");

const WHO: &str = "palisade";

impl Told {
    const ALL: [Self; 5] = [Self::Policy, Self::Tier, Self::Audit, Self::Forged, Self::NoConnection];

    fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Tier => "tier",
            Self::Audit => "audit",
            Self::Forged => "forged",
            Self::NoConnection => "no-connection",
        }
    }
}

impl Logs {
    /// Whether anybody is told.
    pub(super) fn is_heard(self) -> bool {
        self.0.is_some()
    }

    /// The statement, which is none with a verdict, with the packets that it matches counted and told.
    pub(super) fn tell(self, statement: Statement, counter: Name, prefix: &Prefix) -> Statement {
        let counted = Statement { counter: Some(Counter::Named(counter)), ..statement };
        self.only_tell(counted.clone(), prefix).unwrap_or(counted)
    }

    /// A rule that only tells, if anybody is told.
    pub(super) fn only_tell(self, statement: Statement, prefix: &Prefix) -> Option<Statement> {
        let log = Log { prefix: prefix.text(), group: self.0?, snaplen: Some(SNAPLEN) };
        Some(Statement { limit: Some(Limit { rate: RATE, burst: BURST }), log: Some(log), ..statement })
    }
}

impl Prefix {
    pub(super) fn of(told: Told, direction: Direction, pod: &NamespacedName) -> Self {
        Self { told, direction, pod: Some(pod_text(pod)) }
    }

    fn text(&self) -> LogPrefix {
        let Self { told, direction, pod } = self;
        let pod = pod.as_ref().map(|pod| format!(" {pod}")).unwrap_or_default();
        let text = format!("{WHO} {} {direction}{pod}", told.word());
        LogPrefix::new(text).expect("a pod's text has its length and characters")
    }

    /// What a prefix says that is one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let is_ours = words.next() == Some(WHO);
        let (told, direction) = (words.next()?, words.next()?);
        let told = Told::ALL.into_iter().find(|of| of.word() == told)?;
        let direction = Direction::ALL.into_iter().find(|of| of.to_string() == direction)?;
        let pod = words.next().map(str::to_owned);
        (is_ours && words.next().is_none()).then_some(Self { told, direction, pod })
    }
}

/// How much of a pod's name is told: with the longest words before, a prefix is not longer than the kernel allows.
const LONGEST: usize = 90;

/// `namespace/name`, or where that is long or odd its beginning and a hash, `NAMESPACE/BEGINNING~HASH`.
pub fn pod_text(pod: &NamespacedName) -> String {
    let text = pod.to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    if text.len() <= LONGEST && text.chars().all(is_plain) {
        return text;
    }
    let hash = names::hash(pod);
    let begin: String =
        text.chars().take(LONGEST - hash.len() - 1).map(|c| if is_plain(c) { c } else { '-' }).collect();
    format!("{begin}~{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_says_what_it_was_made_of() {
        for told in Told::ALL {
            let prefix = Prefix::of(told, Direction::Egress, &NamespacedName::new("shop", "db-0"));
            assert_eq!(Prefix::parse(prefix.text().as_str()), Some(prefix));
        }
        let long = NamespacedName::new("n".repeat(63), "p".repeat(253));
        let odd = NamespacedName::new("shop", "web (deleted, 10.0.0.1)");
        for pod in [long, odd] {
            let prefix = Prefix::of(Told::NoConnection, Direction::Ingress, &pod);
            assert_eq!(Prefix::parse(prefix.text().as_str()), Some(prefix), "{pod}");
        }
        for foreign in [
            "",
            "palisade",
            "palisade policy",
            "palisade policy up shop/db",
            "other policy egress a/b",
            "palisade policy egress a/b c",
        ] {
            assert_eq!(Prefix::parse(foreign), None, "{foreign:?}");
        }
    }
}
