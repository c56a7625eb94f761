//! The epoch in connections' marks, and in the rules.

use std::num::NonZeroU8;

use palisade_nft::{Action, Edit, Mark, Ruleset};

use super::{names, objects, origin};

/// A time in which nothing was forbidden that had been allowed: connections that were judged in it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(NonZeroU8);

impl Epoch {
    /// How many there are: in tests so few that numbers run out.
    pub const COUNT: u8 = if cfg!(test) { 4 } else { 127 };
    /// The one with the highest number.
    pub const LAST: Self = Self(NonZeroU8::new(Self::COUNT).expect("there are some"));
    /// The bits of connections' marks (`ct mark`) that hold the epoch in which they were judged, 0 for none: the highest
    /// byte.
    ///
    /// Marks are shared by all that runs on a node, so these are bits that others leave alone in connections' marks:
    /// Kubernetes has bits 14 and 15, the portmap plugin 13, the AWS plugin 7, Istio 0 to 10, OVN-Kubernetes 0 to 20, Weave
    /// 17 and 18, Tailscale 16 to 23. Calico and Cilium use some of them in packets' marks, which are others.
    pub const BITS: u32 = 0xff00_0000;

    /// The mark of a connection that nobody saw begin: of no epoch.
    pub const UNSEEN: Mark = Mark { mask: Self::BITS, value: 0x8000_0000 };

    /// The one that follows; the first one follows the last.
    #[must_use]
    pub fn next(self) -> Self {
        if self == Self::LAST { Self(NonZeroU8::MIN) } else { Self(self.0.saturating_add(1)) }
    }

    /// The mark of a connection that was judged in it.
    pub fn mark(self) -> Mark {
        Mark { mask: Self::BITS, value: u32::from(self.0.get()) << Self::BITS.trailing_zeros() }
    }

    fn of(mark: Mark) -> Option<Self> {
        let number = u8::try_from(mark.value >> Self::BITS.trailing_zeros()).ok().and_then(NonZeroU8::new)?;
        Some(Self(number)).filter(|epoch| epoch.mark() == mark)
    }

    /// The edit that begins it, in a ruleset that holds the skeleton.
    pub fn begin(self) -> Edit {
        let known = (names::known(), Some(objects::known(Some(self))));
        let judged = (names::judged(), Some(objects::judged(Some(self))));
        let errors = (names::errors_of_judged(), Some(origin::errors_of_judged(Some(self))));
        Edit { chains: [known, judged, errors].into(), ..Edit::default() }
    }

    /// The edit that ends whichever it is. Its mark is still given, but no longer asked for: so only a rule goes, and the
    /// kernel need not validate the table.
    pub fn end() -> Edit {
        Edit { chains: [(names::known(), Some(objects::known(None)))].into(), ..Edit::default() }
    }

    /// The one with whose mark connections are marked in `ruleset`, where that is done as it should be.
    pub fn given(ruleset: &Ruleset) -> Option<Self> {
        let judged = ruleset.chains.get(&names::judged())?;
        let epoch = judged.statements().find_map(|statement| match statement.action {
            Action::SetCtMark(mark) => Self::of(mark),
            _ => None,
        })?;
        let errors = ruleset.chains.get(&names::errors_of_judged())?;
        let is_whole = *judged == objects::judged(Some(epoch)) && *errors == origin::errors_of_judged(Some(epoch));
        is_whole.then_some(epoch)
    }

    /// The epoch that it is in `ruleset`, if all that it takes is there as it should be.
    pub fn in_force(ruleset: &Ruleset) -> Option<Self> {
        Self::given(ruleset).filter(|epoch| ruleset.chains.get(&names::known()) == Some(&objects::known(Some(*epoch))))
    }
}
