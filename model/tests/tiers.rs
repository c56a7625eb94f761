//! What the tables of cluster policies look like.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use palisade_model::testing::cluster_policy;
use palisade_model::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Direction, Enforcement, IpBlock, NamespaceScope, PodGroup,
    PortMatch, PortRange, Ports, Protocol, Requirement, Selector, SetKey, Tier, TierAction, TierClause, TierMatch,
    TierTable, compile_tier,
};
use proptest::prelude::*;

fn pods(app: &str) -> ClusterPeer {
    let pods = Selector::from_iter([Requirement::new("app", "In", [app]).unwrap()]);
    ClusterPeer::Pods(PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods })
}

fn network(cidr: &str) -> ClusterPeer {
    ClusterPeer::Network(IpBlock::new(cidr.parse().unwrap(), []).unwrap())
}

fn tcp(ports: &[(u16, u16)]) -> Ports {
    let ranges = ports.iter().map(|(first, last)| PortRange::new(*first, *last).unwrap());
    Ports::AnyOf(ranges.map(|ports| PortMatch::Numbers { protocol: Protocol::Tcp, ports }).collect())
}

fn rule(action: TierAction, peers: &[ClusterPeer], ports: Ports) -> ClusterRule {
    ClusterRule { name: None, action, peers: ClusterPeers::AnyOf(peers.to_vec()), ports }
}

fn policy(name: &str, priority: u16, egress: Vec<ClusterRule>) -> ClusterPolicy {
    let subject = PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    ClusterPolicy {
        name: name.into(),
        enforcement: Enforcement::Enforced,
        tier: Tier::Admin,
        priority,
        subject,
        ingress: vec![],
        egress,
    }
}

fn text(clauses: &[TierClause]) -> String {
    let clause = |clause: &TierClause| {
        let peers = match &clause.peers {
            TierMatch::Others => "others".to_owned(),
            TierMatch::Set(set) => match &**set {
                SetKey::Pods(groups) => groups.iter().map(|group| group.pods.to_string()).collect::<Vec<_>>().join(","),
                SetKey::Blocks(blocks) => {
                    blocks.iter().map(|block| block.cidr().to_string()).collect::<Vec<_>>().join(",")
                }
                SetKey::Endpoints(groups) => groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
                SetKey::Nodes(selectors) => {
                    selectors.iter().map(|one| format!("nodes {one}")).collect::<Vec<_>>().join(",")
                }
            },
        };
        let more = if clause.more > 0 { format!("+{}", clause.more) } else { String::new() };
        format!("{} {peers} [{}{more}]", clause.action, clause.rule)
    };
    clauses.iter().map(clause).collect::<Vec<_>>().join("; ")
}

/// Per segment of TCP its ports and clauses, then what holds elsewhere.
fn lines(table: &TierTable) -> Vec<String> {
    let segments = table.segments.get(&Protocol::Tcp).into_iter().flatten();
    let line = |ports: PortRange, clauses| format!("{}-{}: {}", ports.first(), ports.last(), text(clauses));
    let segments = segments.map(|segment| line(segment.ports, &segment.clauses));
    segments.chain([format!("else: {}", text(&table.otherwise))]).collect()
}

fn compile(policies: &[ClusterPolicy]) -> TierTable {
    compile_tier(Direction::Egress, policies, &[])
}

const ACCEPT: TierAction = TierAction::Accept;
const DENY: TierAction = TierAction::Deny;
const PASS: TierAction = TierAction::Pass;

#[test]
fn neighbours_that_say_the_same_are_one_lookup() {
    let policies = [
        policy("b", 2, vec![rule(ACCEPT, &[pods("c")], Ports::All), rule(DENY, &[pods("d")], Ports::All)]),
        policy("a", 1, vec![rule(ACCEPT, &[pods("a")], Ports::All), rule(ACCEPT, &[pods("b")], Ports::All)]),
    ];
    assert_eq!(
        lines(&compile(&policies)),
        ["else: Accept app=a,app=b,app=c [a egress[0]+2]; Deny app=d [b egress[1]]"]
    );
}

#[test]
fn what_is_between_rules_elsewhere_keeps_nobody_apart() {
    let http = || tcp(&[(80, 80)]);
    let rules = vec![
        rule(ACCEPT, &[pods("a")], http()),
        rule(DENY, &[pods("b")], tcp(&[(443, 443)])),
        rule(ACCEPT, &[pods("c")], http()),
    ];
    let expected = ["80-80: Accept app=a,app=c [p egress[0]+1]", "443-443: Deny app=b [p egress[1]]", "else: "];
    assert_eq!(lines(&compile(&[policy("p", 0, rules)])), expected);
}

#[test]
fn who_is_decided_about_is_left_out() {
    let rules = vec![
        rule(ACCEPT, &[pods("a")], tcp(&[(80, 90)])),
        rule(PASS, &[pods("b"), network("10.0.0.0/8")], Ports::All),
        rule(DENY, &[pods("a"), pods("b"), pods("c")], Ports::All),
    ];
    let expected = [
        "80-90: Accept app=a [p egress[0]]; Pass app=b [p egress[1]]; Pass 10.0.0.0/8 [p egress[1]]; Deny app=c [p egress[2]]",
        "else: Pass app=b [p egress[1]]; Pass 10.0.0.0/8 [p egress[1]]; Deny app=a,app=c [p egress[2]]",
    ];
    assert_eq!(lines(&compile(&[policy("p", 0, rules)])), expected);
}

/// A segment in which everything is passed on is there all the same, where that is not so elsewhere.
#[test]
fn what_is_passed_on_at_the_end_need_not_be_said() {
    let rules = vec![
        rule(PASS, &[pods("a")], tcp(&[(80, 80)])),
        rule(DENY, &[pods("a")], Ports::All),
        rule(PASS, &[pods("b")], Ports::All),
    ];
    assert_eq!(lines(&compile(&[policy("p", 0, rules)])), ["80-80: ", "else: Deny app=a [p egress[1]]"]);
}

#[test]
fn a_closed_rule_denies_in_its_place() {
    let rules = vec![
        rule(ACCEPT, &[pods("a")], Ports::All),
        ClusterRule::closed(None, Some(PASS)),
        ClusterRule::closed(None, Some(ACCEPT)),
        rule(DENY, &[pods("b")], Ports::All),
    ];
    let expected = ["else: Accept app=a [p egress[0]]; Deny others [p egress[1]]; Deny app=b [p egress[3]]"];
    assert_eq!(lines(&compile(&[policy("p", 0, rules)])), expected);
}

proptest! {
    #[test]
    fn tables_are_in_normal_form(policies in prop::collection::vec(cluster_policy(6), 1..=4)) {
        for direction in Direction::ALL {
            let table = compile_tier(direction, &policies, &[]);
            let mut by_name = policies.clone();
            by_name.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
            prop_assert_eq!(&table, &compile_tier(direction, &by_name, &[]));
            for segments in table.segments.values() {
                prop_assert!(segments.is_sorted_by(|a, b| a.ports.last() < b.ports.first()));
                prop_assert!(segments.iter().all(|segment| segment.clauses != table.otherwise));
                for pair in segments.windows(2) {
                    let touch = u32::from(pair[0].ports.last()) + 1 == pair[1].ports.first().into();
                    let equal = pair[0].clauses == pair[1].clauses;
                    prop_assert!(!(equal && touch));
                    prop_assert!(!equal || Arc::ptr_eq(&pair[0].clauses, &pair[1].clauses));
                }
            }
            let passes = |clauses: &[TierClause]| clauses.last().is_some_and(|last| last.action == PASS);
            prop_assert!(!passes(&table.otherwise) && !table.lists().into_iter().any(|list| passes(list)));
        }
    }
}
