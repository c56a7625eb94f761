use super::Cost;

/// How much of a node's agent and kernel policies may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// What the policies of one namespace may cost. One over it is closed.
    pub per_namespace: Cost,
    /// What those of all namespaces that are not closed may cost together, each set once. Where they cost more, the most
    /// expensive are closed until the rest fits.
    pub total: Cost,
}

/// A namespace whose policies are not enforced as they are written: the pods that they select let nothing through, in
/// the directions in which they isolate them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What its policies would cost. Where compiling alone is over the limit only the grants are known.
    pub cost: Cost,
    /// Why it is closed.
    pub limit: Limit,
}

/// What a closed namespace is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// The share of each namespace.
    Namespace,
    /// The node's total, of which others need the rest.
    Total,
}

impl Shares {
    /// No limits.
    pub const UNLIMITED: Self = Self { per_namespace: Cost::UNLIMITED, total: Cost::UNLIMITED };
}

impl Default for Shares {
    fn default() -> Self {
        Self::UNLIMITED
    }
}
