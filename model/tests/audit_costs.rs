//! Audits have what enforced policies leave of shares.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;

use palisade_model::testing::{NODE, bare_pod};
use palisade_model::{
    Change, Cost, Enforcement, Index, Limit, NamespacedName, Peers, Pod, Policy, PortMatch, PortRange, Ports, Protocol,
    Rule, Selector, Shares,
};

/// What the policies of a namespace cost in grants: of its enforced egress, and of its audited ingress.
type Grants = (&'static str, u16, u16);

/// The policy itself costs one grant, each port another.
fn policy(namespace: &str, enforcement: Enforcement, grants: u16) -> Policy {
    let port = |number| PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::new(number, number).unwrap() };
    let rule = Rule { peers: Peers::All, ports: Ports::AnyOf((1..grants).map(port).collect()) };
    let [ingress, egress] = match enforcement {
        Enforcement::Enforced => [None, Some(vec![rule])],
        Enforcement::Audited => [Some(vec![rule]), None],
    };
    let id = NamespacedName::new(namespace, format!("{enforcement:?}"));
    Policy { id, enforcement, selector: Selector::default(), ingress, egress }
}

/// The index of a node with a pod of each of these namespaces.
fn index(shares: Shares, namespaces: &[Grants]) -> Index {
    let mut index = Index::with_shares(NODE, shares);
    for (last, (namespace, enforced, audited)) in (1..).zip(namespaces.iter().copied()) {
        let pod = bare_pod(NamespacedName::new(namespace, "pod"), [IpAddr::from([10, 0, 0, last])]);
        index.apply(Change::Pod(Pod { node: Some(NODE.into()), ..pod }));
        index.apply(Change::Policy(policy(namespace, Enforcement::Enforced, enforced)));
        index.apply(Change::Policy(policy(namespace, Enforcement::Audited, audited)));
    }
    index.take_delta();
    index
}

/// Who is closed, and whose audits are left out.
fn closings(index: &Index) -> [Vec<(&str, Limit)>; 2] {
    let closed = index.closed().map(|(namespace, closed)| (&**namespace, closed.limit)).collect();
    let left_out = index.audits_left_out().map(|(namespace, closed)| (&**namespace, closed.limit)).collect();
    [closed, left_out]
}

fn grants(grants: u64) -> Cost {
    Cost { grants, ..Cost::UNLIMITED }
}

#[test]
fn an_audit_has_what_is_left_of_the_namespaces_share() {
    let of = |per_namespace: u64| Shares { per_namespace: grants(per_namespace), ..Shares::UNLIMITED };
    let namespaces = [("shop", 100, 60)];
    assert_eq!(closings(&index(of(160), &namespaces)), [vec![], vec![]]);
    assert_eq!(closings(&index(of(159), &namespaces)), [vec![], vec![("shop", Limit::Namespace)]]);
    assert_eq!(closings(&index(of(99), &namespaces)), [[("shop", Limit::Namespace)]; 2]);
}

/// And comes and goes with what is enforced.
#[test]
fn an_audit_makes_room_for_what_comes_to_be_enforced() {
    let mut index = index(Shares { per_namespace: grants(160), ..Shares::UNLIMITED }, &[("shop", 100, 60)]);
    index.apply(Change::Policy(policy("shop", Enforcement::Enforced, 101)));
    index.take_delta();
    assert_eq!(closings(&index), [vec![], vec![("shop", Limit::Namespace)]]);
    assert_eq!(index.cost("shop").grants, 101, "an audit that is left out costs nothing");
    index.apply(Change::Policy(policy("shop", Enforcement::Enforced, 100)));
    index.take_delta();
    assert_eq!((closings(&index), index.cost("shop").grants), ([vec![], vec![]], 160));
}

#[test]
fn audits_have_what_is_left_of_the_total() {
    let of = |total: u64| Shares { total: grants(total), ..Shares::UNLIMITED };
    let namespaces = [("one", 100, 60), ("two", 100, 10)];
    assert_eq!(closings(&index(of(270), &namespaces)), [vec![], vec![]]);
    assert_eq!(closings(&index(of(210), &namespaces)), [vec![], vec![("one", Limit::Total)]]);
    assert_eq!(closings(&index(of(200), &namespaces)), [vec![], vec![("one", Limit::Total), ("two", Limit::Total)]]);
}

#[test]
fn a_closed_namespace_has_no_audit() {
    let shares = Shares { total: grants(150), ..Shares::UNLIMITED };
    let [closed, left_out] = [[("one", Limit::Total)]; 2];
    assert_eq!(closings(&index(shares, &[("one", 100, 10), ("two", 100, 10)])), [closed, left_out]);
}
