use super::Cost;

/// How much of a node's agent and kernel policies may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// What the policies of one namespace may cost. One over it is closed.
    pub per_namespace: Cost,
    /// What those of all namespaces that are not closed may cost together, each set once. Where they cost more, the most
    /// expensive are closed until the rest fits.
    pub total: Cost,
    /// What cluster policies may cost, apart from that. Versions of policies with which they would cost more are
    /// [refused](crate::Index::refused_cluster_policies).
    pub cluster: Cost,
}

/// A namespace whose policies are not enforced as they are written: the pods that they select let nothing through, in
/// the directions in which they isolate them. Or one whose [audits are left out](crate::Index::audits_left_out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What its policies would cost. Where compiling alone is over the limit only the grants are known.
    pub cost: Cost,
    /// Why it is closed.
    pub limit: Limit,
}

/// Why a namespace is closed: what it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// The share of each namespace.
    Namespace,
    /// The node's total, of which others need the rest.
    Total,
    /// What the kernel takes ([`Index::refuse`](crate::Index::refuse)).
    Kernel,
}

impl Shares {
    /// `factor` times as much of everything, rounded up.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            per_namespace: self.per_namespace.scaled(factor),
            total: self.total.scaled(factor),
            cluster: self.cluster.scaled(factor),
        }
    }

    /// No limits.
    pub const UNLIMITED: Self =
        Self { per_namespace: Cost::UNLIMITED, total: Cost::UNLIMITED, cluster: Cost::UNLIMITED };

    /// What an agent with 640 MiB can afford.
    ///
    /// Of those 640 MiB the index of 150,000 pods takes 100, and the rest of the agent with its watches as much again. The
    /// total of namespaces is 256, and cluster policies have 128, so that a transaction that replaces much still fits beside
    /// them: 1,000 cluster policies of 25 rules, and four times all pods of a cluster of 150,000.
    ///
    /// What ordinary policies cost, in clusters of 150,000 pods and 10,000 policies
    /// (`cargo run --release -p palisade-model --example tenants -- 150000`), the most of all shapes of
    /// `testing::workload`:
    ///
    /// | | grants | elements | sets | chains | checks | MiB |
    /// |---|---|---|---|---|---|---|
    /// | a namespace | 24 | 101,546 | 18 | 21 | 90 | 20 |
    /// | its share | 100,000 | 820,000 | 1,000 | 4,000 | 20,000 | 160 |
    /// | a node with 110 pods | 2,530 | 285,900 | 663 | 880 | 3,300 | 58 |
    /// | its total | 250,000 | 1,280,000 | 4,000 | 8,000 | 40,000 | 256 |
    ///
    /// So a namespace may have eight times what the most expensive has, which admits two thirds of the cluster, and the
    /// node four times. The others, of which no shape needs many, are bounded by the time that they take: grants, a compile of
    /// some 100 ms; sets, which the kernel looks up by name in a list; checks, the 5 ms that anybody's change may take where all
    /// of the total is in force (0.12 µs each on kernel 6.18, which goes through each chain once).
    pub const STANDARD: Self = Self {
        per_namespace: Cost {
            grants: 100_000,
            elements: 820_000,
            sets: 1_000,
            chains: 4_000,
            checks: 20_000,
            bytes: 160 << 20,
        },
        total: Cost {
            grants: 250_000,
            elements: 1_280_000,
            sets: 4_000,
            chains: 8_000,
            checks: 40_000,
            bytes: 256 << 20,
        },
        cluster: Cost {
            grants: 1_000_000,
            elements: 640_000,
            sets: 1_000,
            chains: 4_000,
            checks: 20_000,
            bytes: 128 << 20,
        },
    };
}
