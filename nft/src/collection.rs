//! What the sets and the verdict maps of [`Elements`] have in common, so that each algorithm is written once.

mod algorithms;

pub(crate) use algorithms::Misfit;
use algorithms::{
    Collection, Value, by_key, compose, difference, edit, has_no_key_of, insert_each, remove_each, take_first, text,
    with_verdict,
};

use crate::{Elements, ElementsKind, Verdict};

impl Elements {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ElementsKind {
    /// Whether its elements hold verdicts.
    pub fn is_map(self) -> bool {
        match self {
            Self::Ipv4
            | Self::Ipv6
            | Self::Ipv4Ranges
            | Self::Ipv6Ranges
            | Self::Ipv4Endpoints
            | Self::Ipv6Endpoints
            | Self::Ipv4Pairs
            | Self::Ipv6Pairs
            | Self::Links => false,
            Self::Ipv4Verdicts
            | Self::Ipv6Verdicts
            | Self::PortVerdicts
            | Self::PortRangeVerdicts
            | Self::LinkVerdicts => true,
        }
    }

    /// Whether its keys are ranges: `flags interval`.
    pub fn is_interval(self) -> bool {
        match self {
            Self::Ipv4Ranges | Self::Ipv6Ranges | Self::PortRangeVerdicts => true,
            Self::Ipv4
            | Self::Ipv6
            | Self::Ipv4Endpoints
            | Self::Ipv6Endpoints
            | Self::Ipv4Verdicts
            | Self::Ipv6Verdicts
            | Self::PortVerdicts
            | Self::Ipv4Pairs
            | Self::Ipv6Pairs
            | Self::Links
            | Self::LinkVerdicts => false,
        }
    }
}

macro_rules! elements_methods {
    ($($variant:ident),+) => {
        impl Elements {
            /// No elements of type `kind`.
            pub fn empty(kind: ElementsKind) -> Self {
                match kind {
                    $(ElementsKind::$variant => Self::$variant(Default::default()),)+
                }
            }

            /// How many there are.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(elements) => elements.len(),)+
                }
            }

            /// What must go, and what must then come, to make of these `to`; `None` where `to` is of another type.
            pub(crate) fn difference_to(&self, to: &Self) -> Option<(Self, Self)> {
                match (self, to) {
                    $((Self::$variant(from), Self::$variant(to)) => {
                        let (remove, add) = difference(from, to);
                        Some((Self::$variant(remove), Self::$variant(add)))
                    })+
                    _ => None,
                }
            }

            /// Takes `remove` out, puts `add` in, and gives what really went and came; `None`, and nothing done, where
            /// one of them is of another type.
            pub(crate) fn edit(&mut self, remove: &Self, add: &Self) -> Option<(Self, Self)> {
                match (self, remove, add) {
                    $((Self::$variant(elements), Self::$variant(remove), Self::$variant(add)) => {
                        let (removed, added) = edit(elements, remove, add);
                        Some((Self::$variant(removed), Self::$variant(added)))
                    })+
                    _ => None,
                }
            }

            /// Makes of what goes (`self`) and what then comes (`add`) what both go and come after a second such change. Gives
            /// what goes and comes back.
            pub(crate) fn compose(&mut self, add: &mut Self, then_remove: &Self, then_add: &Self) -> Self {
                match (self, add, then_remove, then_add) {
                    $((Self::$variant(remove), Self::$variant(add), Self::$variant(then_remove), Self::$variant(then_add)) => {
                        Self::$variant(compose(remove, add, then_remove, then_add))
                    })+
                    _ => unreachable!("the elements of a set are of one type"),
                }
            }

            /// Takes the first `count` out, or all, and gives them.
            pub(crate) fn take_first(&mut self, count: usize) -> Self {
                match self {
                    $(Self::$variant(elements) => Self::$variant(take_first(elements, count)),)+
                }
            }

            /// Whether no key is in both.
            pub(crate) fn has_no_key_of(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$variant(elements), Self::$variant(other)) => has_no_key_of(elements, other),)+
                    _ => unreachable!("the elements of a set are of one type"),
                }
            }

            /// One change for each key of what goes (`self`) and what then comes.
            pub(crate) fn by_key(&self, add: &Self) -> Vec<(Self, Self)> {
                match (self, add) {
                    $((Self::$variant(remove), Self::$variant(add)) => {
                        let changes = by_key(remove, add).into_iter();
                        changes.map(|(remove, add)| (Self::$variant(remove), Self::$variant(add))).collect()
                    })+
                    _ => unreachable!("the elements of a set are of one type"),
                }
            }

            /// Puts in what the kernel would take, or says why not, with some of them in.
            pub(crate) fn insert_each(&mut self, add: &Self) -> Result<(), Misfit> {
                match (self, add) {
                    $((Self::$variant(elements), Self::$variant(add)) => insert_each(elements, add),)+
                    _ => Err(Misfit::Kind),
                }
            }

            /// Takes out what the kernel would take out, or says why not, with some of them out.
            pub(crate) fn remove_each(&mut self, remove: &Self) -> Result<(), Misfit> {
                match (self, remove) {
                    $((Self::$variant(elements), Self::$variant(remove)) => remove_each(elements, remove),)+
                    _ => Err(Misfit::Kind),
                }
            }

            /// Those whose verdict satisfies `wanted`.
            pub(crate) fn with_verdict(&self, wanted: impl Fn(&Verdict) -> bool) -> Self {
                if !self.kind().is_map() {
                    return Self::empty(self.kind());
                }
                match self {
                    $(Self::$variant(elements) => Self::$variant(with_verdict(elements, wanted)),)+
                }
            }

            /// The verdicts that they hold, by ascending key.
            pub(crate) fn verdicts(&self) -> Box<dyn Iterator<Item = &Verdict> + '_> {
                match self {
                    $(Self::$variant(elements) => Box::new(elements.entries().filter_map(|(_, v)| v.verdict())),)+
                }
            }

            /// Each as nft writes it, by ascending key.
            pub(crate) fn texts(&self) -> Box<dyn Iterator<Item = String> + '_> {
                match self {
                    $(Self::$variant(elements) => Box::new(elements.entries().map(|(k, v)| text(k, v))),)+
                }
            }
        }
    };
}

elements_methods!(
    Ipv4,
    Ipv6,
    Ipv4Ranges,
    Ipv6Ranges,
    Ipv4Endpoints,
    Ipv6Endpoints,
    Ipv4Verdicts,
    Ipv6Verdicts,
    PortVerdicts,
    PortRangeVerdicts,
    Ipv4Pairs,
    Ipv6Pairs,
    Links,
    LinkVerdicts
);
