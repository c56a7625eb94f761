use libc::{EBUSY, EEXIST, EINVAL, EMLINK, ENOENT, ENOSPC, EOPNOTSUPP, EPERM};

use super::*;
use crate::tests::build::*;
use crate::{BaseChain, Comment, Elements, ElementsKind, Hook, Key, Match, Operation, Statement, Verdict};

fn commit(fake: &mut Fake, operations: Vec<Operation>) -> Result<(), CommitError> {
    fake.commit(&name("palisade").into(), &Transaction { operations })
}

/// That `operation` is refused by a table that holds one pod, with `errno`, and changes nothing.
#[track_caller]
fn refused(operation: &Operation, errno: i32) {
    let mut fake = Fake::holding(one_pod());
    let error = commit(&mut fake, vec![create_chain("new", None), operation.clone()]).unwrap_err();
    let expected =
        CommitError::Refused { index: 1, operation: operation.to_string(), errno: Errno(errno), detail: None };
    assert_eq!(error, expected);
    assert_eq!((fake.read(), fake.generation()), (Ok(Some(one_pod())), Ok(1)));
}

fn create_chain(chain: &str, base: Option<BaseChain>) -> Operation {
    Operation::CreateChain { name: name(chain), base, comment: None }
}

fn create_set(set: &str, kind: ElementsKind) -> Operation {
    Operation::CreateSet { name: name(set), kind, comment: None }
}

fn add(set: &str, elements: Elements) -> Operation {
    Operation::AddElements { set: name(set), elements }
}

fn delete(set: &str, elements: Elements) -> Operation {
    Operation::DeleteElements { set: name(set), elements }
}

fn append(chain: &str, rule: Statement) -> Operation {
    Operation::AddRule { chain: name(chain), rule }
}

#[test]
fn what_is_missing_is_refused() {
    refused(&Operation::FlushChain { chain: name("x") }, ENOENT);
    refused(&Operation::DeleteChain { name: name("x") }, ENOENT);
    refused(&Operation::DeleteSet { name: name("x") }, ENOENT);
    refused(&append("x", rule([], Verdict::Accept)), ENOENT);
    refused(&append("new", rule([], jump("x"))), ENOENT);
    refused(&append("new", rule([within(SADDR, "x")], Verdict::Accept)), ENOENT);
    refused(&append("new", vmap(SADDR, "x")), ENOENT);
    refused(&add("x", addresses(&["10.0.0.1"])), ENOENT);
    refused(&add("egress-pods", verdicts([("10.0.0.1", jump("x"))])), ENOENT);
    refused(&delete("pods", addresses(&["10.1.1.1", "10.9.9.9"])), ENOENT);
    refused(&delete("cidrs", ranges(&[("10.0.0.0", "10.0.0.255")])), ENOENT);
    let mut none = Fake::new(name("palisade"));
    let error = commit(&mut none, vec![create_chain("x", None)]).unwrap_err();
    assert_eq!((error.errno(), none.ruleset()), (Errno(ENOENT), None));
}

#[test]
fn of_several_faults_the_first_is_told() {
    refused(&add("egress-pods", verdicts([("10.1.1.0", jump("x")), ("10.1.1.1", Verdict::Drop)])), ENOENT);
    refused(&add("egress-pods", verdicts([("10.1.1.1", Verdict::Drop), ("10.1.1.2", jump("x"))])), EEXIST);
}

#[test]
fn what_is_referred_to_is_not_deleted() {
    refused(&Operation::DeleteChain { name: name("pod-shop-web") }, EBUSY);
    refused(&Operation::DeleteChain { name: name("segment") }, EBUSY);
    refused(&Operation::DeleteSet { name: name("pods") }, EBUSY);
    refused(&Operation::DeleteSet { name: name("egress-pods") }, EBUSY);
}

#[test]
fn counters_are_kept_while_they_are_named() {
    let counter = |counter: &str| Operation::CreateCounter { name: name(counter), comment: None };
    let delete = |counter: &str| Operation::DeleteCounter { name: name(counter) };
    refused(&append("new", told("x")), ENOENT);
    refused(&delete("x"), ENOENT);
    let mut fake = Fake::holding(one_pod());
    commit(&mut fake, vec![counter("dropped"), append("segment", told("dropped")), counter("dropped")]).unwrap();
    assert_eq!(commit(&mut fake, vec![delete("dropped")]).unwrap_err().errno(), Errno(EBUSY));
    let flush = Operation::FlushChain { chain: name("segment") };
    assert_eq!(commit(&mut fake, vec![flush, delete("dropped")]), Ok(()));
}

#[test]
fn what_is_there_otherwise_is_refused() {
    refused(&create_chain("egress", Some(BaseChain { hook: Hook::Forward, priority: 0 })), EOPNOTSUPP);
    refused(&create_chain("segment", Some(BaseChain { hook: Hook::Forward, priority: 0 })), EEXIST);
    refused(&create_set("pods", ElementsKind::Ipv6), EEXIST);
    refused(&add("egress-pods", verdicts([("10.1.1.1", Verdict::Drop)])), EEXIST);
    refused(&add("cidrs", ranges(&[("10.255.0.0", "11.0.0.1")])), EEXIST);
    refused(&add("cidrs", ranges(&[("10.1.0.0", "10.1.255.255")])), EEXIST);
    refused(&add("cidrs", ranges(&[("11.0.0.0", "11.0.0.255")])), EEXIST);
}

#[test]
fn what_is_there_already_is_fine() {
    let mut fake = Fake::holding(one_pod());
    let again = vec![
        Operation::CreateTable { comment: Some(Comment::new("another")) },
        create_chain("egress", Some(BaseChain { hook: Hook::Forward, priority: -20 })),
        create_chain("segment", None),
        create_set("pods", ElementsKind::Ipv4),
        add("pods", addresses(&["10.1.1.1"])),
        add("cidrs", ranges(&[("10.0.0.0", "10.255.255.255")])),
        add("egress-pods", verdicts([("10.1.1.1", goto("pod-shop-web"))])),
    ];
    assert_eq!(commit(&mut fake, again), Ok(()));
    assert_eq!(fake.ruleset(), Some(&one_pod()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused(&add("pods", Elements::empty(ElementsKind::Ipv4)), EINVAL);
    refused(&add("pods", ranges(&[("10.0.0.1", "10.0.0.2")])), EINVAL);
    refused(&append("new", rule([within(Key::Port(6), "pods")], Verdict::Accept)), EINVAL);
    refused(&append("new", rule([within(SADDR, "egress-pods")], Verdict::Accept)), EINVAL);
    refused(&append("new", vmap(SADDR, "pods")), EINVAL);
    refused(&append("new", rule([], goto("egress"))), EOPNOTSUPP);
    refused(&add("egress-pods", verdicts([("10.0.0.1", jump("egress"))])), EOPNOTSUPP);
}

#[test]
fn circles_that_a_base_chain_leads_to_are_refused() {
    refused(&append("segment", rule([], jump("pod-shop-web"))), EMLINK);
    refused(&append("segment", vmap(SADDR, "egress-pods")), EMLINK);
    let mut fake = Fake::holding(one_pod());
    assert!(commit(&mut fake, vec![create_chain("new", None), append("new", rule([], jump("new")))]).is_ok());
}

#[test]
fn fifteen_chains_deep_is_the_limit() {
    let chain_of = |length: usize| {
        let names: Vec<String> = (0..=length).map(|i| format!("chain-{i}")).collect();
        let mut chains: Vec<_> =
            names.windows(2).map(|pair| (pair[0].as_str(), chain([rule([], goto(&pair[1]))]))).collect();
        chains[0].1.base = Some(BaseChain { hook: Hook::Forward, priority: 0 });
        chains.push((&names[length], chain([])));
        Transaction::from(&crate::diff(None, &table(&chains, &[])))
    };
    let palisade = name("palisade");
    assert!(Fake::new(palisade.clone()).commit(&palisade.clone().into(), &chain_of(15)).is_ok());
    let error = Fake::new(palisade.clone()).commit(&palisade.into(), &chain_of(16)).unwrap_err();
    assert_eq!(error.errno(), Errno(EMLINK));
}

#[test]
fn an_empty_transaction_does_nothing() {
    let mut fake = Fake::new(name("palisade"));
    fake.inject(Fault::Refuse(Errno(ENOSPC)));
    assert_eq!(commit(&mut fake, vec![]), Ok(()));
    assert_eq!(fake.generation(), Ok(1));
    assert!(commit(&mut fake, vec![Operation::CreateTable { comment: None }]).is_err(), "the fault waits");
}

#[test]
fn faults_hit_one_commit() {
    let mut fake = Fake::holding(one_pod());
    let delete = || vec![Operation::DeleteTable];
    fake.inject(Fault::Refuse(Errno(ENOSPC)));
    let error = commit(&mut fake, delete()).unwrap_err();
    assert!(error.errno() == Errno(ENOSPC) && !error.state_unknown());
    assert_eq!(fake.ruleset(), Some(&one_pod()));
    fake.inject(Fault::LoseAcknowledgement);
    assert!(commit(&mut fake, delete()).unwrap_err().state_unknown());
    assert_eq!((fake.read(), fake.generation()), (Ok(None), Ok(2)));
    assert_eq!(commit(&mut fake, delete()).unwrap_err().errno(), Errno(ENOENT));
}

#[test]
fn only_its_own_table_is_written() {
    let mut fake = Fake::holding(one_pod());
    let error =
        fake.commit(&name("other").into(), &Transaction { operations: vec![Operation::DeleteTable] }).unwrap_err();
    insta::assert_snapshot!(error, @"cannot write table inet other through the backend of table inet palisade: Operation not permitted (os error 1)");
    assert_eq!((error.errno(), fake.ruleset()), (Errno(EPERM), Some(&one_pod())));
}

#[test]
fn another_hand_moves_the_generation() {
    let mut fake = Fake::holding(one_pod());
    fake.tamper(|held| *held = None);
    assert_eq!((fake.read(), fake.generation()), (Ok(None), Ok(2)));
}

#[test]
fn a_refusal_says_what_was_refused() {
    let mut fake = Fake::holding(one_pod());
    let error = commit(&mut fake, vec![append("segment", rule([Match::L4Proto(6)], jump("x")))]).unwrap_err();
    insta::assert_snapshot!(error, @"the kernel refused operation 0, `add rule segment meta l4proto tcp jump x`: No such file or directory (os error 2)");
}
