mod order;
mod text;

use crate::{BaseChain, Comment, Elements, ElementsKind, Name, Statement};

/// What is sent to the kernel, in an order that the kernel accepts. Applied whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The operations, in order.
    pub operations: Vec<Operation>,
}

/// One change to the table. What is created may be there already, if it is equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The table itself.
    CreateTable {
        /// Its comment.
        comment: Option<Comment>,
    },
    /// The table, with all that is in it.
    DeleteTable,
    /// An empty chain.
    CreateChain {
        /// Its name.
        name: Name,
        /// Where it hooks in.
        base: Option<BaseChain>,
        /// Its comment.
        comment: Option<Comment>,
    },
    /// An empty set or verdict map.
    CreateSet {
        /// Its name.
        name: Name,
        /// Its type.
        kind: ElementsKind,
        /// Its comment.
        comment: Option<Comment>,
    },
    /// A counter. One that is there already keeps its value, and its comment.
    CreateCounter {
        /// Its name.
        name: Name,
        /// Its comment.
        comment: Option<Comment>,
    },
    /// Elements go: each must be there.
    DeleteElements {
        /// The set's name.
        set: Name,
        /// The elements, never none (which the kernel would take for all); in a map with the verdicts that they have.
        elements: Elements,
    },
    /// Elements come: chains that their verdicts name must be there.
    AddElements {
        /// The set's name.
        set: Name,
        /// The elements, never none.
        elements: Elements,
    },
    /// All rules of a chain go.
    FlushChain {
        /// The chain's name.
        chain: Name,
    },
    /// A rule comes to the end of a chain: the chains, sets and counters that it names must be there.
    AddRule {
        /// The chain's name.
        chain: Name,
        /// The rule.
        rule: Statement,
    },
    /// A set that nothing refers to goes, with its elements.
    DeleteSet {
        /// Its name.
        name: Name,
    },
    /// A counter that nothing refers to goes, with its value.
    DeleteCounter {
        /// Its name.
        name: Name,
    },
    /// A chain that nothing refers to goes, with its rules.
    DeleteChain {
        /// Its name.
        name: Name,
    },
}

impl Transaction {
    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

impl Operation {
    /// The chain, set or counter that it is about; `None`: the table.
    pub fn object(&self) -> Option<&Name> {
        match self {
            Self::CreateTable { .. } | Self::DeleteTable => None,
            Self::CreateChain { name, .. }
            | Self::CreateSet { name, .. }
            | Self::CreateCounter { name, .. }
            | Self::DeleteSet { name }
            | Self::DeleteCounter { name }
            | Self::DeleteChain { name } => Some(name),
            Self::DeleteElements { set, .. } | Self::AddElements { set, .. } => Some(set),
            Self::FlushChain { chain } | Self::AddRule { chain, .. } => Some(chain),
        }
    }
}
