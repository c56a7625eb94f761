mod node;
mod shop;

use std::net::IpAddr;

use palisade_model::reference::{Cluster, Flow, Traffic};
use palisade_model::testing::{self, NODE};
use palisade_model::{Change, NamespacedName};
use palisade_nft::{Action, Chain, Elements, Errno, Fault, Match, Selection, Transport, Verdict};
use proptest::prelude::*;

use self::node::{Memory, Node};
use self::shop::{gone, ip, pod, policy, shop, shop_in_background};
use super::look::is_cut;
use super::*;
use crate::render::CUT_MARK;

/// What follows a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    Commit,
    CommitAndCut,
}

fn then() -> impl Strategy<Value = Then> {
    prop::sample::select(vec![Then::Nothing, Then::Commit, Then::CommitAndCut])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What is not looked at is as it would have been judged, by the rules and by the reference verdict.
    #[test]
    fn marks_are_as_policy_judges_after_any_changes(changes in testing::changes(60), steps in prop::collection::vec(then(), 60)) {
        let mut last = Cluster::default();
        changes.iter().cloned().for_each(|change| last.apply(change));
        let flows = testing::flows(&last);
        let memory = Memory::new(flows.iter().map(flow));
        let (mut node, mut cluster) = (Node::new(NODE, &memory), Cluster::default());
        for (change, then) in changes.into_iter().zip(steps) {
            cluster.apply(change.clone());
            node.enforcer.apply(change);
            match then {
                Then::Nothing => {}
                Then::Commit => drop(node.enforcer.commit().unwrap()),
                Then::CommitAndCut => {
                    node.apply([]).unwrap();
                    prop_assert_eq!(node.wrong(), []);
                }
            }
        }
        node.apply([]).unwrap();
        for (flow, connection) in flows.iter().zip(&memory.state().connections) {
            let passes = testing::passes(&cluster, flow);
            prop_assert!(passes.is_none_or(|passes| passes != is_cut(connection)), "{flow:?}: {connection:?}");
        }
    }

    /// That a peer comes into a set forbids nothing, because rules look sets of peers up to accept alone.
    #[test]
    fn sets_of_peers_are_accepted(changes in testing::changes(60)) {
        let mut node = Node::new(NODE, &Memory::default());
        node.apply(changes).unwrap();
        for statement in node.enforcer.desired().chains.values().flat_map(Chain::statements) {
            let peers = statement.matches.iter().any(|one| matches!(one, Match::In(..)));
            prop_assert!(!peers || statement.action == Action::Verdict(Verdict::Accept), "{statement:?}");
        }
    }
}

fn flow(flow: &Flow) -> (IpAddr, IpAddr, Transport) {
    let transport = match flow.traffic {
        Traffic::Port { protocol, port } => Transport::Ports { protocol: protocol.number(), destination: port },
        Traffic::Other(protocol) => Transport::Other(protocol),
    };
    (flow.source, flow.destination, transport)
}

const ALL: [Selection; 1] = [Selection::All];
const CUT: [Selection; 1] = [Selection::Marked(CUT_MARK)];

/// Those that have this pod at one end.
fn of(pod: u8) -> Vec<Selection> {
    vec![Selection::Of(ip(pod))]
}

#[test]
fn what_was_there_before_the_first_commit_is_judged_once() {
    let (mut node, memory) = shop();
    assert_eq!(memory.state().asked, ALL);
    assert_eq!(memory.state().settled, 1);
    assert_eq!(node.change([]), ([0; 3], vec![]));
    assert_eq!(memory.state().marked, 0, "what is allowed is not touched");
}

#[test]
fn a_policy_concerns_the_connections_of_its_pods() {
    let (mut node, _) = shop();
    assert_eq!(node.change([policy("p", "db", &["web"])]), ([5, 1, 0], of(2)), "4 to it and 1 from it");
    assert_eq!(node.change([policy("p", "db", &[])]), ([5, 3, 0], ALL.into()));
    assert_eq!(node.change([Change::PolicyGone(NamespacedName::new("shop", "p"))]), ([4, 0, 4], CUT.into()));
    assert_eq!(node.wrong(), []);
}

#[test]
fn a_peer_that_goes_is_looked_for_alone() {
    let (mut node, memory) = shop();
    node.change([policy("p", "db", &["web"]), policy("q", "web", &["web", "db", "mail"])]);
    assert_eq!(node.change([gone(11)]), ([2, 2, 0], of(11)));
    assert_eq!(memory.state().settled, 3);
    assert_eq!(node.change([pod(11, "web", "there")]), ([3, 0, 2], CUT.into()));
    assert_eq!(memory.state().settled, 3, "nothing is to be waited for where only more is allowed");
    assert_eq!(node.wrong(), []);
}

#[test]
fn what_has_several_ends_that_are_looked_for_is_judged_once() {
    let (mut node, memory) = shop();
    node.change([policy("p", "db", &["web", "mail"]), policy("q", "web", &["web", "db", "mail"])]);
    assert_eq!(node.change([gone(13), gone(12)]), ([4, 4, 0], [of(12), of(13)].concat()));
    let (mut node, _) = shop();
    assert_eq!(
        node.change([policy("p", "db", &[]), policy("q", "web", &[])]).0,
        [8, 8, 0],
        "all, of which 2 are between both"
    );
    let (mut node, _) = shop();
    let ([judged, ..], mut asked) = node.change([policy("p", "db", &["web", "mail"]), policy("q", "web", &["db"])]);
    asked.sort_by_key(|one| format!("{one:?}"));
    assert_eq!((judged, asked), (8, [of(1), of(2)].concat()));
    assert_eq!(memory.state().settled, 3);
}

#[test]
fn many_ends_are_looked_for_among_all() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web", "mail"])]);
    let ([judged, cut, _], asked) = node.change([gone(11), gone(12), gone(13)]);
    assert_eq!((judged, cut, &*asked), (6, 3, &ALL[..]), "neither of the two between local pods");
}

#[test]
fn where_nothing_is_cut_nothing_is_looked_at_that_only_allows_more() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web", "mail"])]);
    assert_eq!(node.change([pod(14, "web", "there"), pod(15, "mail", "there")]), ([0; 3], vec![]));
    assert_eq!(node.change([gone(13)]), ([2, 1, 0], of(13)), "then something is");
    assert_eq!(node.change([pod(16, "web", "there")]), ([1, 0, 0], CUT.into()));
}

#[test]
fn a_local_pod_that_comes_is_judged_and_one_that_goes_is_free() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["mail"])]);
    assert_eq!(node.change([gone(2)]), ([3, 0, 3], CUT.into()));
    assert_eq!(node.change([pod(2, "db", "here")]), ([5, 3, 0], of(2)));
    assert_eq!(node.wrong(), []);
}

#[test]
fn what_failed_is_judged_the_next_time() {
    let (mut node, memory) = shop();
    memory.state().fails = true;
    let error = node.apply([policy("p", "db", &[])]).unwrap_err();
    assert!(error.to_string().contains("list connections"), "{error}");
    assert_eq!(node.wrong().len(), 4);
    memory.state().fails = false;
    assert_eq!(node.change([pod(14, "web", "there")]), ([5, 4, 0], of(2)));
    assert_eq!(node.wrong(), []);
}

#[test]
fn errors_are_followed_by_ever_longer_pauses() {
    let (mut node, memory) = shop();
    memory.state().fails = true;
    node.apply([policy("p", "db", &[])]).unwrap_err();
    assert!(node.enforcer.cut_is_due().unwrap() > Instant::now() - FIRST_PAUSE);
    for _ in 0..20 {
        node.apply([]).unwrap_err();
    }
    assert!(node.enforcer.cut_is_due().unwrap() > Instant::now() + LONGEST_PAUSE / 2);
    assert_eq!(node.enforcer.cut().unwrap(), None, "not yet");
    memory.state().fails = false;
    node.apply([]).unwrap();
    assert_eq!(node.enforcer.cutter().pause, FIRST_PAUSE);
}

#[test]
fn looks_rest_between_and_lose_nothing() {
    let (mut node, memory) = shop();
    assert_eq!(node.enforcer.cut_is_due(), None);
    node.enforcer.apply(policy("p", "db", &[]));
    node.enforcer.commit().unwrap().unwrap();
    let later = Instant::now() + Duration::from_secs(3600);
    node.enforcer.cutter().resting_until = later;
    memory.state().asked.clear();
    assert_eq!(node.enforcer.cut().unwrap(), None);
    assert_eq!((node.enforcer.cut_is_due(), memory.state().asked.len()), (Some(later), 0));
    assert_eq!(node.change([]), ([5, 4, 0], of(2)));
    assert_eq!(node.enforcer.cut_is_due(), None);
}

#[test]
fn nothing_is_judged_by_rules_that_may_not_be_in_force() {
    for fault in [Fault::Refuse(Errno(105)), Fault::LoseAcknowledgement] {
        let (mut node, memory) = shop();
        memory.state().asked.clear();
        node.enforcer.backend().inject(fault);
        node.enforcer.apply(policy("p", "db", &[]));
        node.enforcer.commit().unwrap_err();
        assert_eq!((node.enforcer.cut_is_due(), node.enforcer.cut().unwrap()), (None, None));
        assert_eq!(memory.state().asked, []);
        assert_eq!(node.change([]), ([5, 4, 0], of(2)), "{fault:?}");
    }
}

/// A listing of one peer's connections does not show that others' are cut.
#[test]
fn what_is_cut_is_not_forgotten_over_other_looks() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web"]), policy("q", "web", &["web", "db"])]);
    assert_eq!(node.change([gone(11)]), ([2, 2, 0], of(11)));
    assert_eq!(node.change([pod(11, "web", "there")]), ([4, 0, 2], CUT.into()));
    assert_eq!(node.change([pod(14, "web", "there")]).0[2], 0);
    assert_eq!(node.change([gone(14)]), ([0; 3], of(14)));
    assert_eq!(node.change([Change::PolicyGone(NamespacedName::new("shop", "p"))]).0[2], 1);
    assert_eq!(node.wrong(), []);
}

/// Somebody took a peer out of its set before it went: no transaction is needed, but a cut is.
#[test]
fn what_needs_no_commit_any_more_is_cut_all_the_same() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web", "mail"])]);
    node.enforcer.backend().tamper(|table| {
        for set in table.as_mut().unwrap().sets.values_mut() {
            if let Elements::Ipv4(peers) = &mut set.elements {
                peers.retain(|peer| *peer != ip(13));
            }
        }
    });
    node.enforcer.distrust();
    assert_eq!(node.change([gone(13)]), ([2, 1, 0], of(13)));
}

#[test]
fn a_table_that_others_took_away_leaves_nothing_unjudged() {
    let (mut node, memory) = shop();
    node.change([policy("p", "db", &["web"])]);
    node.enforcer.backend().tamper(|table| *table = None);
    node.enforcer.distrust();
    let begun = memory.state().connections.len();
    assert_eq!(node.change([]), ([begun, 0, 0], ALL.into()));
}

#[test]
fn where_there_is_no_conntrack_there_is_nothing_to_do() {
    let (node, _) = shop();
    let mut cutter = Cutter::new(palisade_nft::NoConntrack);
    let cuts = cutter.cut(node.enforcer.desired()).unwrap().unwrap();
    assert_eq!((cuts.judged, cuts.cut, cuts.restored), (0, 0, 0));
    assert_eq!(format!("{cutter:?}").split(' ').next(), Some("Cutter"));
}

#[test]
fn in_the_background_no_commit_waits_for_a_look() {
    let (mut node, memory) = shop_in_background();
    assert_eq!(node.looked().unwrap().judged, 8);
    let held = memory.hold();
    assert_eq!(node.apply([policy("p", "db", &["web"])]).unwrap(), None, "the look is not over");
    assert!(node.enforcer.cut_is_due().is_some());
    assert_eq!(node.apply([policy("q", "web", &[])]).unwrap(), None, "another one does not begin");
    drop(held);
    assert_eq!(node.looked().unwrap().cut, 1);
    assert_eq!(node.looked().unwrap().cut, 4, "what was committed meanwhile");
    assert_eq!(node.wrong(), []);
    assert_eq!(node.enforcer.cut_is_due(), None);
}

#[test]
fn what_failed_in_the_background_is_judged_with_what_came_meanwhile() {
    let (mut node, memory) = shop_in_background();
    node.looked().unwrap();
    memory.state().fails = true;
    let held = memory.hold();
    node.apply([policy("p", "db", &[])]).unwrap();
    node.apply([policy("q", "web", &[])]).unwrap();
    drop(held);
    node.looked().unwrap_err();
    memory.state().fails = false;
    assert_eq!(node.looked().unwrap().cut, 8);
    assert_eq!(node.wrong(), []);
}
