//! What a kernel does not know, or does not take.

use palisade_model::{ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Limit, Tier, TierAction};
use palisade_nft::{Operation, Table};

use super::*;

/// A kernel that does not know what has these words in it.
struct Without(Fake, &'static str);

impl Backend for Without {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.0.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        let asks = |operation: &Operation| operation.to_string().contains(self.1);
        match transaction.operations.iter().position(asks) {
            Some(index) => Err(CommitError::Refused {
                index,
                operation: transaction.operations[index].to_string(),
                errno: Errno(nix::libc::ENOENT),
                detail: None,
            }),
            None => self.0.commit(table, transaction),
        }
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.0.generation()
    }
}

#[test]
fn a_kernel_that_cannot_ask_its_routes_enforces_policies_all_the_same() {
    let mut enforcer = enforcer_of(Without(Fake::new(table()), "fib saddr"));
    change(&mut enforcer, [pod("web", 1, 1)]);
    let held = enforcer.backend().0.ruleset().unwrap().clone();
    assert_eq!(held, *enforcer.desired());
    assert!(render::origins(&held) == Origins::Believed && !render::local_pods(&held).is_empty());
}

#[test]
fn a_kernel_that_cannot_log_enforces_policies_all_the_same() {
    for word in ["log prefix", "limit rate"] {
        let enforcer = enforcer_of(Without(Fake::new(table()), word));
        let mut enforcer = enforcer.with_logs(Logs::STANDARD);
        change(&mut enforcer, [pod("web", 1, 1), policy("shop", "all", &[])]);
        let held = enforcer.backend().0.ruleset().unwrap().clone();
        assert_eq!(held, *enforcer.desired());
        assert_eq!(Logs::of(&held), Some(Logs(None)));
        assert_eq!((render::origins(&held), render::pods(&held).len()), (Origins::Guarded, 1));
    }
}

/// A kernel that does not take what names chains of one namespace.
struct Refusing {
    fake: Fake,
    word: &'static str,
    refused: usize,
}

impl Backend for Refusing {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.fake.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        let is_too_much = |operation: &Operation| matches!(operation, Operation::AddRule { chain, .. } if chain.as_str().contains(self.word));
        match transaction.operations.iter().position(is_too_much) {
            None => self.fake.commit(table, transaction),
            Some(index) => {
                self.refused += 1;
                let operation = transaction.operations[index].to_string();
                Err(CommitError::Refused { index, operation, errno: Errno(nix::libc::ENOMEM), detail: None })
            }
        }
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.fake.generation()
    }

    fn guard(&mut self) -> Result<bool, CommitError> {
        Ok(false)
    }
}

/// Commits until that succeeds, as the agent does.
fn commit_at_last<B: Backend>(enforcer: &mut Enforcer<B>) {
    for _ in 0..10 {
        if enforcer.commit_some().is_ok() && enforcer.is_all_in_force() {
            return;
        }
    }
    panic!("{:?}", enforcer.commit_some());
}

#[test]
fn what_the_kernel_refuses_closes_the_namespace_that_needs_it_and_holds_up_nobody() {
    let backend = Refusing { fake: Fake::new(table()), word: "policies-ingress-big", refused: 0 };
    let mut enforcer = enforcer_of(backend);
    for change in [pod_of("big", 1), pod_of("shop", 2), policy("shop", "p", &["web"]), policy("big", "p", &["a"])] {
        enforcer.apply(change);
    }
    commit_at_last(&mut enforcer);
    let closed: Vec<_> = enforcer.index().closed().map(|(name, closed)| (name.to_string(), closed.limit)).collect();
    assert_eq!(closed, [("big".to_owned(), Limit::Kernel)]);
    let (held, refused) = (enforcer.backend().fake.ruleset().unwrap().clone(), enforcer.backend().refused);
    assert_eq!(held, *enforcer.desired());
    assert!(held.chains.keys().any(|name| name.as_str().starts_with("policies-ingress-shop")));
    assert!(held.chains.keys().any(|name| name.as_str().starts_with("pod-ingress-big")), "it is isolated");

    enforcer.apply(policy("shop", "p", &["web", "api"]));
    enforcer.commit_some().unwrap();
    assert_eq!(enforcer.backend().refused, refused, "it is not tried with every change of others");
    enforcer.backend().word = "nothing";
    enforcer.readmit();
    commit_at_last(&mut enforcer);
    assert_eq!(enforcer.index().closed().count(), 0);
}

/// Forbids the pods of `shop` to reach those with one of these labels.
fn cluster_policy(name: &str, apps: &[&str]) -> Change {
    let pods = |namespace: &str, pods| PodGroup { namespaces: NamespaceScope::Named(namespace.into()), pods };
    let deny = |app: &&str| ClusterRule {
        name: None,
        action: TierAction::Deny,
        peers: ClusterPeers::AnyOf(vec![ClusterPeer::Pods(pods(app, Selector::default()))]),
        ports: Ports::All,
    };
    Change::ClusterPolicy(ClusterPolicy {
        name: name.into(),
        enforcement: Enforcement::Enforced,
        tier: Tier::Admin,
        priority: 0,
        subject: pods("shop", Selector::default()),
        ingress: vec![],
        egress: apps.iter().map(deny).collect(),
    })
}

#[test]
fn of_cluster_policies_what_the_kernel_refuses_goes_back_and_holds_up_nobody() {
    let backend = Refusing { fake: Fake::new(table()), word: "nothing", refused: 0 };
    let mut enforcer = enforcer_of(backend);
    let rules = |enforcer: &mut Enforcer<Refusing>| {
        let held = enforcer.backend().fake.ruleset().unwrap().clone();
        assert_eq!(held, *enforcer.desired());
        held.chains.into_iter().find(|(name, _)| name.as_str().starts_with("admin-egress-")).unwrap().1.rules
    };
    for change in [pod_of("shop", 1), cluster_policy("a", &["x"]), cluster_policy("b", &["y", "z", "w"])] {
        enforcer.apply(change);
    }
    commit_at_last(&mut enforcer);
    let before = rules(&mut enforcer);
    enforcer.backend().word = "admin-egress";
    enforcer.apply(cluster_policy("a", &["x", "v"]));
    enforcer.apply(pod_of("big", 2));
    enforcer.apply(policy("big", "p", &["web"]));
    commit_at_last(&mut enforcer);
    assert_eq!(enforcer.index().refused_cluster_policies().collect::<Vec<_>>(), [&"a".into()]);
    assert_eq!((&rules(&mut enforcer), enforcer.index().closed().count()), (&before, 0));
    let held = enforcer.backend().fake.ruleset().unwrap();
    assert!(held.chains.keys().any(|name| name.as_str().starts_with("policies-ingress-big")), "others go on");
    enforcer.backend().word = "nothing";
    enforcer.readmit();
    commit_at_last(&mut enforcer);
    assert_eq!(enforcer.index().refused_cluster_policies().count(), 0);
    assert_ne!(rules(&mut enforcer), before);
}
