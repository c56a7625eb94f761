//! What tenants write.

use palisade_model::{Change, Index, NamespacedName, Selector, Shares};

use super::cluster::{LOCAL, anywhere, but_app, cluster, of_app, policy, rule, tcp, within};

/// What one writes, or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Nobody writes anything.
    Idle,
    /// Rules whose selectors differ and match all pods of the cluster.
    Rules,
    /// Port ranges within one another, with peers of their own.
    Nested,
    /// As many ports as there may be, of one policy.
    Ports,
    /// Every pod has policies of its own with many ports.
    Tables,
    /// So many rules that the namespace is over its share.
    Over,
    /// Fifty tenants, who do one of these each.
    Many,
}

impl Case {
    pub(crate) const ALL: [Self; 7] =
        [Self::Idle, Self::Rules, Self::Nested, Self::Ports, Self::Tables, Self::Over, Self::Many];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Rules => "rules",
            Self::Nested => "nested",
            Self::Ports => "ports",
            Self::Tables => "tables",
            Self::Over => "over",
            Self::Many => "many",
        }
    }

    pub(crate) fn namespaces(self) -> Vec<String> {
        let count = match self {
            Self::Idle | Self::Rules | Self::Nested | Self::Ports | Self::Tables | Self::Over => 1,
            Self::Many => 50,
        };
        (0..count).map(|number| format!("mallory-{number}")).collect()
    }

    /// What the tenant of that number does.
    fn of(self, tenant: usize) -> Self {
        let each = [Self::Rules, Self::Nested, Self::Ports, Self::Tables, Self::Over];
        if self == Self::Many { each[tenant % each.len()] } else { self }
    }

    /// The policies of a tenant, of that size.
    fn policies(self, namespace: &str, size: u16) -> Vec<Change> {
        let one = |rules| vec![policy(namespace, "policy", Selector::default(), rules)];
        match self {
            Self::Idle => Vec::new(),
            Self::Rules | Self::Over => one((0..size)
                .map(|n| rule(anywhere(but_app(&format!("{namespace}-{n}"))), vec![tcp(1_000 + n, 1_000 + n)]))
                .collect()),
            Self::Nested => one((0..size)
                .map(|n| rule(within(namespace, of_app(&format!("app-{n}"))), vec![tcp(1 + n, u16::MAX - n)]))
                .collect()),
            Self::Ports => one(vec![rule(within(namespace, of_app("app-0")), ports(size))]),
            Self::Tables => (0..LOCAL)
                .map(|n| {
                    let rules = vec![rule(within(namespace, of_app("app-0")), ports(size))];
                    policy(namespace, &format!("policy-{n}"), of_app(&format!("app-{n}")), rules)
                })
                .collect(),
            Self::Many => unreachable!("each of many does something"),
        }
    }
}

fn ports(count: u16) -> Vec<palisade_model::PortMatch> {
    (0..count).map(|n| tcp(1 + 2 * n, 1 + 2 * n)).collect()
}

/// What tenants write in turn.
pub(crate) struct Tenants {
    /// Of each the policies, and how they are written the next time.
    versions: Vec<[Vec<Change>; 2]>,
    rounds: usize,
}

impl Tenants {
    /// Each of whom writes as much as fits, which is sought; or more, if the case is that.
    pub(crate) fn new(case: Case, pods: u32) -> Self {
        let namespaces = case.namespaces();
        let kinds: Vec<Case> = (0..namespaces.len()).map(|tenant| case.of(tenant)).collect();
        let mut sizes = Vec::<(Case, u16)>::new();
        for kind in kinds.iter().filter(|kind| **kind != Case::Idle) {
            if !sizes.iter().any(|(known, _)| known == kind) {
                sizes.push((*kind, largest(*kind, pods)));
            }
        }
        let size = |kind: Case| sizes.iter().find(|(known, _)| *known == kind).map_or(0, |(_, size)| *size);
        let of = |(namespace, kind): (&String, &Case)| {
            let size = size(*kind);
            [kind.policies(namespace, size), kind.policies(namespace, size - size.min(1) - size / 10)]
        };
        Self { versions: namespaces.iter().zip(&kinds).map(of).collect(), rounds: 0 }
    }

    /// All policies as they are first.
    pub(crate) fn first(&self) -> impl Iterator<Item = Change> {
        self.versions.iter().flat_map(|[first, _]| first.clone())
    }

    /// What the next tenant writes; nothing where nobody does.
    pub(crate) fn next(&mut self) -> Vec<Change> {
        let (tenant, round) = (self.rounds % self.versions.len(), self.rounds / self.versions.len());
        self.rounds += 1;
        self.versions[tenant][(round + 1) % 2].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.versions.len()
    }
}

/// The largest policy of a kind that fits into a namespace's share; of those that do not fit, one that does not.
fn largest(kind: Case, pods: u32) -> u16 {
    if kind == Case::Over {
        return 1_000;
    }
    let namespace = "mallory-0".to_owned();
    let mut index = Index::with_shares(palisade_model::testing::NODE, Shares::STANDARD);
    cluster(pods, std::slice::from_ref(&namespace)).into_iter().for_each(|change| index.apply(change));
    let mut fits = |size| {
        kind.policies(&namespace, size).into_iter().for_each(|change| index.apply(change));
        index.take_delta();
        let fits = index.closed().next().is_none();
        for change in kind.policies(&namespace, size) {
            if let Change::Policy(policy) = change {
                index.apply(Change::PolicyGone(NamespacedName::new(namespace.clone(), policy.id.name)));
            }
        }
        index.take_delta();
        fits
    };
    let (mut low, mut high) = (1, 30_000);
    while high - low > 1 + low / 50 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
