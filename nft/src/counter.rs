use crate::{Comment, Name};

/// Where a rule counts the packets that match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// `counter`: by itself. It starts again when the rule is written anew.
    Own,
    /// `counter name "x"`: in a [`NamedCounter`], with whatever else names it.
    Named(Name),
}

/// `counter x { comment "..." }`: what rules count in, and lives on when they are written anew.
///
/// What it has counted is no part of the value, and it is never re-created while its table stays: one that is there
/// with another comment keeps that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedCounter {
    /// The comment that it is made with.
    pub comment: Option<Comment>,
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterValue {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Counter {
    /// The counter that it names.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Own => None,
            Self::Named(name) => Some(name),
        }
    }
}
