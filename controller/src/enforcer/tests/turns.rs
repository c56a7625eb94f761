//! Whose changes are committed first.

use std::collections::BTreeSet;

use palisade_model::{Cost, PortMatch, PortRange, Protocol};

use super::*;

/// Who changes what takes long waits for his turn, and others do not wait for him.
#[test]
fn who_takes_long_waits_for_his_turn() {
    let mut enforcer = enforcer_of(Fake::new(table()));
    change(
        &mut enforcer,
        [pod_of("big", 1), pod_of("shop", 2), policy("shop", "p", &["a"]), policy("big", "p", &["a"])],
    );
    let cost = Cost { elements: 100_000, ..enforcer.index().cost("big") };
    enforcer.turns.took(&[("big".into(), cost)], Duration::from_millis(60), Instant::now());
    let due = Instant::now() + Duration::from_millis(100);
    let policies = |enforcer: &mut Enforcer<Fake>| {
        let held = enforcer.backend().ruleset().unwrap().clone();
        let looks_up = |namespace: &str, app: &str| {
            let set = format!("pods-app-{app}-in-{namespace}");
            held.sets.keys().any(|name| name.as_str().starts_with(&set))
        };
        [looks_up("big", "b"), looks_up("shop", "b")]
    };
    for change in [policy("shop", "p", &["b"]), policy("big", "p", &["b"]), pod_of("big", 3)] {
        enforcer.apply(change);
    }
    enforcer.commit_some().unwrap();
    assert_eq!(policies(&mut enforcer), [false, true]);
    assert_eq!(enforcer.waiting(), BTreeSet::from(["big".into()]));
    assert!(enforcer.commit_is_due().is_some_and(|at| at > due));
    let held = enforcer.backend().ruleset().unwrap().clone();
    assert!(render::local_pods(&held).contains(&address(3)), "pods do not wait");

    while !enforcer.waiting().is_empty() {
        let due = enforcer.commit_is_due().expect("what waits is due some time");
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        enforcer.commit_some().unwrap();
    }
    assert_eq!(policies(&mut enforcer), [true, true]);
    assert_eq!(enforcer.backend().ruleset().unwrap().clone(), *enforcer.desired());
}

/// Where nothing is there yet, who has short policies does not wait for who has long ones. What is there stays, of everybody.
#[test]
fn at_the_start_of_a_node_what_is_long_comes_last() {
    let apps: Vec<String> = (0..200).map(|number| format!("app-{number}")).collect();
    let apps: Vec<&str> = apps.iter().map(String::as_str).collect();
    let policies = [policy("shop", "p", &["a"]), policy("big", "p", &apps), policy("long", "p", &apps[..120])];
    let all: Vec<_> = [pod_of("big", 1), pod_of("shop", 2), pod_of("long", 3)].into_iter().chain(policies).collect();
    let mut enforcer = enforcer_of(Fake::new(table()));
    all.iter().cloned().for_each(|change| enforcer.apply(change));
    let mut steps = Vec::new();
    while enforcer.commit_is_due().is_some() || steps.is_empty() {
        enforcer.commit_some().unwrap();
        let waiting = enforcer.waiting();
        let held = held(&mut enforcer);
        let judges = |namespace: &str| {
            held.chains.keys().any(|name| name.as_str().starts_with(&format!("pod-ingress-{namespace}")))
        };
        assert!(waiting.iter().all(|namespace| !judges(namespace)) && judges("shop"));
        assert_eq!(render::local_pods(&held).len(), 3, "pods do not wait");
        steps.push(waiting);
    }
    steps.dedup();
    assert_eq!(steps, [["big".into(), "long".into()].into(), BTreeSet::new()]);
    let held = held(&mut enforcer);
    assert_eq!(held, *enforcer.desired());

    let mut restarted = enforcer_of(Fake::holding(held));
    all.into_iter().for_each(|change| restarted.apply(change));
    assert!(restarted.commit_some().unwrap().is_none(), "nothing has changed");
    assert_eq!(restarted.waiting(), BTreeSet::new());
}

/// Where it may take long to decide what all those need, they come one after the other, and others in between. They let nothing
/// through until it is known of all.
#[test]
fn between_those_who_come_last_others_come() {
    let single = |number: u16| PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(2 * number) };
    let long = |namespace: &str| {
        let Change::Policy(mut policy) = policy(namespace, "p", &["a"]) else { unreachable!("it makes policies") };
        policy.ingress.as_mut().unwrap()[0].ports = Ports::AnyOf((0..400).map(single).collect());
        Change::Policy(policy)
    };
    let namespaces = ["x", "y", "z"];
    let mut enforcer = enforcer_of(Fake::new(table()));
    enforcer.piece = Duration::ZERO;
    let pods = [pod_of("shop", 1), pod_of("x", 2), pod_of("y", 3), pod_of("z", 4)];
    pods.into_iter().chain(namespaces.map(long)).for_each(|change| enforcer.apply(change));
    let mut seen = Vec::new();
    for number in 0..100 {
        if number % 2 == 0 {
            enforcer.apply(policy("shop", "p", &[&format!("app-{number}")]));
        }
        enforcer.commit_some().unwrap();
        let held = held(&mut enforcer);
        let has =
            |start: String| held.sets.keys().chain(held.chains.keys()).any(|name| name.as_str().starts_with(&start));
        assert!(has(format!("pods-app-app-{}-in-shop", number / 2 * 2)), "others do not wait");
        let of = |name| (has(format!("pod-ingress-{name}")), has(format!("ports-ingress-tcp-{name}")));
        seen.push(namespaces.map(of));
        if namespaces.iter().all(|name| !enforcer.waiting().contains(*name)) {
            break;
        }
        assert!(enforcer.commit_is_due().is_some());
    }
    let [closed, open] = [(true, false), (true, true)];
    let opened = seen.iter().position(|seen| seen.contains(&open)).unwrap();
    assert!(opened > namespaces.len(), "one after the other");
    assert!(seen[..opened].iter().all(|seen| *seen == [closed; 3]) && seen[opened] == [open; 3]);
    enforcer.commit().unwrap();
    assert_eq!(held(&mut enforcer), *enforcer.desired());
}

/// Who no longer has to be closed because somebody else needs less is enforced although nothing else happens.
#[test]
fn who_is_opened_by_anothers_change_does_not_wait_for_the_next() {
    let total = Cost { grants: 6, ..Cost::UNLIMITED };
    let shares = Shares { per_namespace: Cost::UNLIMITED, total, ..Shares::UNLIMITED };
    let mut enforcer = enforcer_of(Fake::new(table())).with_shares(shares);
    let policies = [policy("shop", "p", &["a", "b", "c"]), policy("busy", "p", &["a", "b"])];
    change(&mut enforcer, [pod_of("busy", 1), pod_of("shop", 2)].into_iter().chain(policies));
    let closed =
        |enforcer: &Enforcer<Fake>| enforcer.index().closed().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(closed(&enforcer), ["shop"]);
    let cost = Cost { elements: 100_000, ..Cost::default() };
    enforcer.turns.took(&[("busy".into(), cost)], Duration::from_millis(20), Instant::now());
    enforcer.apply(policy("busy", "p", &["a"]));
    while let Some(due) = enforcer.commit_is_due() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        enforcer.commit_some().unwrap();
    }
    assert_eq!(closed(&enforcer), [""; 0]);
    assert_eq!(enforcer.index().unsettled(), BTreeSet::new());
}
