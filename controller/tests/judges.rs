//! Two of the three judges, over random clusters and event sequences: the reference verdict of the model, and an
//! interpreter that walks packets through the compiled ruleset. (The third, real packets, is in `integration`.)
//!
//! They must agree on every flow, whatever the way in which the cluster came about; and they must not be blind: a
//! compiler that is broken in any of the ways listed in [`mutations`] is caught.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::net::IpAddr;

use palisade::enforcer::Enforcer;
use palisade::render::{Epoch, Logs, PodRange, Prefix, Settings, TABLE, Told, dispatch_maps, render, render_with};
use palisade_model::reference::{Cluster, Flow, Traffic};
use palisade_model::testing::{self, NODE};
use palisade_model::{Change, Direction, Index, NamespacedName};
use palisade_nft::{
    Backend, Division, Fake, Hook, Met, Name, Outcome, Packet, PacketState, Ruleset, Transaction, Transport, diff,
    walk, walk_at,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn they_agree_after_any_sequence_of_events(changes in testing::changes(60), commits in prop::collection::vec(any::<bool>(), 60)) {
        let mut enforcer = Enforcer::new(NODE, table(), Fake::new(table()));
        let mut cluster = Cluster::default();
        for (change, commit) in changes.into_iter().zip(commits) {
            cluster.apply(change.clone());
            enforcer.apply(change);
            if commit {
                enforcer.commit().unwrap();
            }
        }
        enforcer.commit().unwrap();
        let enforced = enforcer.backend().read().unwrap().unwrap();
        let fresh = compile(&cluster);
        prop_assert!(enforced == fresh, "not what a fresh start gives: {:?}", diff(Some(&enforced), &fresh));
        prop_assert_eq!(disagreement(&cluster, &enforced), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// While policies change in pieces, each direction of each pod is judged as before or as it shall be.
    #[test]
    fn in_between_nothing_else_passes_and_nothing_is_lost(
        changes in testing::changes(40),
        edits in testing::changes(30),
        budget in 1..200_usize,
    ) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let before = compile(&cluster);
        let is_of_policies = |change: &Change| {
            use Change::{ClusterPolicy, ClusterPolicyGone, Policy, PolicyGone};
            matches!(change, Policy(_) | PolicyGone(_) | ClusterPolicy(_) | ClusterPolicyGone(_))
        };
        edits.into_iter().filter(is_of_policies).for_each(|change| cluster.apply(change));
        let after = compile(&cluster);
        let local: Vec<IpAddr> =
            cluster.pods.values().filter(|pod| pod.node.as_deref() == Some(NODE)).flat_map(|pod| pod.ips.clone()).collect();
        let is_within = |flow: &Flow| local.contains(&flow.source) && local.contains(&flow.destination);
        let flows: Vec<Flow> = testing::flows(&cluster).into_iter().filter(|flow| !is_within(flow)).collect();
        let expected: Vec<_> = flows.iter().map(|flow| [passes(&before, flow), passes(&after, flow)]).collect();
        let mut fake = Fake::holding(before.clone());
        let division = Division { budget, sets: 0, entries: dispatch_maps().collect() };
        for part in diff(Some(&before), &after).parts(&division) {
            for step in part.into_steps() {
                fake.commit(&before.table, &Transaction::from(&step)).unwrap();
                let held = fake.ruleset().unwrap();
                for (flow, expected) in flows.iter().zip(&expected) {
                    prop_assert!(expected.contains(&passes(held, flow)), "{:?}: not {:?}", flow, expected);
                }
            }
        }
        prop_assert_eq!(fake.ruleset(), Some(&after));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Where the pod range is guarded, nothing passes of an address of it that is no known pod's, in whatever state a packet is,
    /// and all else is judged as without.
    #[test]
    fn what_is_in_the_pod_range_and_no_known_pods_goes_nowhere(changes in testing::changes(40)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let without = compile(&cluster);
        let everything = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"].map(|net| net.parse().unwrap());
        let range = PodRange::of(&everything);
        let with = compile_with(&cluster, Settings { range, ..Settings::default() });
        let local = palisade::render::local_pods(&without);
        let states = [PacketState::New, PacketState::Established, PacketState::Invalid, PacketState::Untracked];
        for flow in testing::flows(&cluster) {
            let is_known = [flow.source, flow.destination].iter().all(|end| local.contains(end));
            for (state, begins) in states.into_iter().flat_map(|state| [(state, true), (state, false)]) {
                let packet = Packet { begins, ..packet(&flow, state) };
                let outcome = |ruleset| walk(ruleset, &packet).unwrap().verdict;
                let expected = if is_known { outcome(&without) } else { Outcome::Drop };
                prop_assert!(outcome(&with) == expected, "{:?} {:?} begins {}: not {:?}", flow, state, begins, expected);
            }
        }
    }
}

proptest! {
    /// What a pod's policies drop counts as dropped of that pod, and is told; what audited policies would drop counts as that,
    /// and passes.
    #[test]
    fn what_is_dropped_or_would_be_is_counted_and_told(changes in testing::changes(60)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let ruleset = compile_with(&cluster, Settings { logs: Logs::STANDARD, ..Settings::default() });
        for flow in testing::flows(&cluster) {
            if testing::passes(&cluster, &flow).is_some() {
                let walk = walk(&ruleset, &packet(&flow, PacketState::New)).unwrap();
                let expected = accounts(&cluster, &flow);
                let is_account = |name: &&Name| !name.as_str().starts_with("denied-");
                let counters = walk.met.iter().filter_map(|met| if let Met::Counter(name) = met { Some(name) } else { None });
                let counted: Vec<String> = counters.filter(is_account).map(without_hash).collect();
                let of_accounts: Vec<String> = expected.iter().map(|(what, pod)| format!("{what}-{}-{}", pod.namespace, pod.name)).collect();
                prop_assert!(counted == of_accounts, "{:?}: counted {:?}, not {:?}", flow, counted, of_accounts);
                let prefixes = walk.met.iter().filter_map(|met| if let Met::Log(prefix) = met { Prefix::parse(prefix.as_str()) } else { None });
                let told: Vec<_> = prefixes.map(|prefix| (account(&prefix), prefix.pod.unwrap())).collect();
                let of_pods: Vec<_> = expected.into_iter().map(|(what, pod)| (what, pod.to_string())).collect();
                prop_assert!(told == of_pods, "{:?}: told {:?}, not {:?}", flow, told, of_pods);
            }
        }
    }
}

fn account(prefix: &Prefix) -> String {
    let what = if prefix.told == Told::Audit { "would-drop" } else { "dropped" };
    format!("{what}-{}", prefix.direction)
}

fn without_hash(name: &Name) -> String {
    name.as_str().rsplit_once('-').unwrap().0.to_owned()
}

/// What is to be counted of a flow's first packet, by the reference verdict, and of which pod.
fn accounts(cluster: &Cluster, flow: &Flow) -> Vec<(String, NamespacedName)> {
    let verdict = cluster.verdict(flow);
    let mut accounts = Vec::new();
    for direction in Direction::ALL {
        let of = verdict.of(direction);
        let is_here = |pod: &NamespacedName| cluster.pods[pod].node.as_deref() == Some(NODE);
        let Some(pod) = of.subject.clone().filter(is_here) else { continue };
        if !of.allowed {
            accounts.push((format!("dropped-{direction}"), pod));
            return accounts;
        }
        if cluster.would_drop(flow, direction) {
            accounts.push((format!("would-drop-{direction}"), pod));
        }
    }
    accounts
}

/// A flow on which the judges differ, where there is one.
fn disagreement(cluster: &Cluster, ruleset: &Ruleset) -> Option<Flow> {
    testing::flows(cluster).into_iter().find(|flow| {
        testing::passes(cluster, flow).is_some_and(|expected| passes(ruleset, flow) != expected)
            || testing::reaches_node(cluster, flow).is_some_and(|expected| reaches_node(ruleset, flow) != expected)
    })
}

fn reaches_node(ruleset: &Ruleset, flow: &Flow) -> bool {
    let walk = walk_at(Hook::Input, ruleset, &packet(flow, PacketState::New)).unwrap();
    walk.verdict == Outcome::Accept
}

fn passes(ruleset: &Ruleset, flow: &Flow) -> bool {
    walk(ruleset, &packet(flow, PacketState::New)).unwrap().verdict == Outcome::Accept
}

fn packet(flow: &Flow, state: PacketState) -> Packet {
    let transport = match flow.traffic {
        Traffic::Port { protocol, port } => Transport::Ports { protocol: protocol.number(), destination: port },
        Traffic::Other(protocol) => Transport::Other(protocol),
    };
    let Flow { source, destination, .. } = *flow;
    Packet::new(source, destination, transport, state)
}

fn compile(cluster: &Cluster) -> Ruleset {
    compile_with(cluster, Settings::default())
}

fn compile_with(cluster: &Cluster, settings: Settings) -> Ruleset {
    let mut index = Index::new(NODE);
    testing::objects(cluster).for_each(|change| index.apply(change));
    render_with(table(), &index.take_delta(), settings)
}

fn table() -> Name {
    Name::new(TABLE).unwrap()
}

/// What always passes, whatever the policies say.
mod exemptions {
    use super::*;

    fn deny_all() -> Ruleset {
        let pod = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"status":{"podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}}"#;
        let policy = r#"{"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1","metadata":{"name":"p"},"spec":{"podSelector":{},"policyTypes":["Ingress","Egress"]}}"#;
        let texts = [("pod.json".into(), pod.to_owned()), ("policy.json".into(), policy.to_owned())];
        let manifests = palisade::manifests::parse(std::path::Path::new("."), &texts, NODE).unwrap();
        let mut index = Index::new(NODE);
        manifests.into_changes().for_each(|change| index.apply(change));
        render(table(), &index.take_delta())
    }

    fn outcome(source: &str, destination: &str, transport: Transport, state: PacketState) -> Outcome {
        judged(&packet(source, destination, transport, state))
    }

    fn packet(source: &str, destination: &str, transport: Transport, state: PacketState) -> Packet {
        let [source, destination] = [source, destination].map(|address| address.parse::<IpAddr>().unwrap());
        Packet::new(source, destination, transport, state)
    }

    fn judged(packet: &Packet) -> Outcome {
        walk(&deny_all(), packet).unwrap().verdict
    }

    /// What was judged in this epoch, and no other. Who is expected by a judged connection has its mark.
    #[test]
    fn judged_connections_pass() {
        let mut ruleset = deny_all();
        let epoch = Epoch::LAST;
        ruleset.apply(epoch.begin()).unwrap();
        let [source, destination] = ["10.0.0.1", "10.0.0.9"].map(|address| address.parse::<IpAddr>().unwrap());
        let outcome = |state, mark| {
            let packet = Packet { mark, ..Packet::new(source, destination, TCP, state) };
            walk(&ruleset, &packet).unwrap().verdict
        };
        let mark = epoch.mark().value;
        for (state, mark, expected) in [
            (PacketState::Established, mark, Outcome::Accept),
            (PacketState::Established, mark | 0xff_ffff, Outcome::Accept),
            (PacketState::Established, epoch.next().mark().value, Outcome::Drop),
            (PacketState::Established, 0xff_ffff, Outcome::Drop),
            (PacketState::New, mark, Outcome::Accept),
            (PacketState::Related, mark, Outcome::Drop),
            (PacketState::Invalid, mark, Outcome::Drop),
        ] {
            assert_eq!(outcome(state, mark), expected, "{state:?} {mark:#x}");
        }
    }

    const TCP: Transport = Transport::Ports { protocol: 6, destination: 80 };

    #[test]
    fn of_no_other_connection_anything_passes() {
        for state in [PacketState::Established, PacketState::New, PacketState::Invalid, PacketState::Untracked] {
            assert_eq!(outcome("10.0.0.1", "10.0.0.9", TCP, state), Outcome::Drop, "{state:?} egress");
            assert_eq!(outcome("10.0.0.9", "10.0.0.1", TCP, state), Outcome::Drop, "{state:?} ingress");
        }
    }

    /// Of connections that were judged in this epoch.
    #[test]
    fn of_related_packets_only_icmp_errors_pass() {
        let mut ruleset = deny_all();
        ruleset.apply(Epoch::LAST.begin()).unwrap();
        let related = |source, destination, transport, mark| {
            let packet = packet(source, destination, transport, PacketState::Related);
            walk(&ruleset, &Packet { mark, ..packet }).unwrap().verdict
        };
        let judged = Epoch::LAST.mark().value;
        for (mark, expected) in [(judged, Outcome::Accept), (0, Outcome::Drop)] {
            assert_eq!(related("10.0.0.9", "10.0.0.1", Transport::Other(1), mark), expected);
            assert_eq!(related("fd00::9", "fd00::1", Transport::Icmpv6(1), mark), expected);
        }
        assert_eq!(related("10.0.0.9", "10.0.0.1", TCP, judged), Outcome::Drop);
        // Before the first epoch nobody knows better.
        assert_eq!(outcome("10.0.0.9", "10.0.0.1", Transport::Other(1), PacketState::Related), Outcome::Accept);
    }

    #[test]
    fn neighbour_discovery_passes_where_no_router_was_and_other_icmpv6_does_not() {
        let outcome = |kind, hop_limit| {
            let packet = packet("fd00::9", "fd00::1", Transport::Icmpv6(kind), PacketState::New);
            judged(&Packet { hop_limit, ..packet })
        };
        for (kind, expected) in [
            (132, Outcome::Drop),
            (133, Outcome::Accept),
            (137, Outcome::Accept),
            (138, Outcome::Drop),
            (128, Outcome::Drop),
        ] {
            assert_eq!(outcome(kind, 255), expected, "{kind}");
            assert_eq!(outcome(kind, 254), Outcome::Drop, "{kind}");
        }
    }

    /// But for packets that begin one.
    #[test]
    fn of_what_nobody_saw_begin_nothing_passes_even_where_it_is_allowed() {
        let sctp = Transport::Ports { protocol: 132, destination: 80 };
        for (transport, destination) in [(TCP, "10.0.0.1"), (sctp, "10.0.0.1"), (TCP, "10.0.0.9")] {
            let packet = packet("10.0.0.1", destination, transport, PacketState::New);
            assert_eq!(judged(&Packet { begins: false, ..packet }), Outcome::Drop);
            assert_eq!(judged(&Packet { mark: Epoch::UNSEEN.value, ..packet }), Outcome::Drop);
        }
        let stranger = packet("10.0.0.8", "10.0.0.9", TCP, PacketState::New);
        let walk = walk(&deny_all(), &Packet { begins: false, ..stranger }).unwrap();
        assert_eq!((walk.verdict, walk.mark), (Outcome::Accept, Epoch::UNSEEN.value));
    }

    #[test]
    fn a_pod_reaches_itself() {
        assert_eq!(outcome("10.0.0.1", "10.0.0.1", TCP, PacketState::New), Outcome::Accept);
        assert_eq!(outcome("fd00::1", "fd00::1", TCP, PacketState::New), Outcome::Accept);
    }
}

/// Compilers that are broken in one way each: all are caught.
mod mutations {
    use palisade_model::{
        ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Direction, IpBlock, NamespaceScope, Peer, Peers, Policy,
        PortMatch, PortRange, Ports, Rule, Selector, Tier, TierAction,
    };
    use palisade_nft::{Action, AddressField, Elements, Key, Match, Statement, Verdict};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    const CLUSTERS: usize = 300;

    /// Whether any of some hundred random clusters shows that `broken` does not compile them rightly.
    fn is_caught(broken: impl Fn(&Cluster) -> Ruleset) -> bool {
        let mut runner = TestRunner::deterministic();
        (0..CLUSTERS).any(|_| {
            let mut cluster = Cluster::default();
            let changes = testing::changes(60).new_tree(&mut runner).unwrap().current();
            changes.into_iter().for_each(|change| cluster.apply(change));
            disagreement(&cluster, &broken(&cluster)).is_some()
        })
    }

    /// A compiler that misreads policies.
    fn misreading(edit: impl Fn(&mut Policy)) -> impl Fn(&Cluster) -> Ruleset {
        move |cluster| {
            let mut misread = cluster.clone();
            misread.policies.values_mut().for_each(&edit);
            compile(&misread)
        }
    }

    /// A compiler that misreads rules.
    fn misreading_rules(edit: impl Fn(&mut Rule)) -> impl Fn(&Cluster) -> Ruleset {
        misreading(move |policy| policy.ingress.iter_mut().chain(&mut policy.egress).flatten().for_each(&edit))
    }

    fn misreading_peers(edit: impl Fn(&mut Peer)) -> impl Fn(&Cluster) -> Ruleset {
        misreading_rules(move |rule| {
            if let Peers::AnyOf(peers) = &mut rule.peers {
                peers.iter_mut().for_each(&edit);
            }
        })
    }

    fn misreading_ports(edit: impl Fn(&mut PortMatch)) -> impl Fn(&Cluster) -> Ruleset {
        misreading_rules(move |rule| {
            if let Ports::AnyOf(ports) = &mut rule.ports {
                ports.iter_mut().for_each(&edit);
            }
        })
    }

    /// A compiler that misreads cluster policies.
    fn misreading_cluster_policies(edit: impl Fn(&mut ClusterPolicy)) -> impl Fn(&Cluster) -> Ruleset {
        move |cluster| {
            let mut misread = cluster.clone();
            misread.cluster_policies.values_mut().for_each(&edit);
            compile(&misread)
        }
    }

    fn misreading_cluster_rules(edit: impl Fn(&mut ClusterRule)) -> impl Fn(&Cluster) -> Ruleset {
        misreading_cluster_policies(move |policy| policy.ingress.iter_mut().chain(&mut policy.egress).for_each(&edit))
    }

    /// A compiler that writes something else.
    fn miswriting(edit: impl Fn(&mut Ruleset)) -> impl Fn(&Cluster) -> Ruleset {
        move |cluster| {
            let mut ruleset = compile(cluster);
            edit(&mut ruleset);
            ruleset
        }
    }

    fn miswriting_rules(edit: impl Fn(&mut Statement)) -> impl Fn(&Cluster) -> Ruleset {
        miswriting(move |ruleset| {
            for rule in ruleset.chains.values_mut().flat_map(|chain| &mut chain.rules) {
                if let palisade_nft::Rule::Own(statement) = rule {
                    edit(statement);
                }
            }
        })
    }

    #[test]
    fn an_unbroken_compiler_is_not() {
        assert!(!is_caught(compile));
    }

    #[test]
    fn what_misreads_policies_is() {
        assert!(is_caught(misreading(|policy| policy.selector = Selector::default())), "selects every pod");
        assert!(is_caught(misreading(|policy| policy.ingress = None)), "knows no ingress");
        assert!(is_caught(misreading(|policy| policy.egress = None)), "knows no egress");
        assert!(
            is_caught(misreading(|policy| policy.egress = policy.egress.take().or(Some(vec![])))),
            "always isolates"
        );
        assert!(
            is_caught(misreading(|policy| {
                policy.ingress.iter_mut().for_each(|rules| rules.truncate(1));
            })),
            "first rule only"
        );
        let swap = |policy: &mut Policy| std::mem::swap(&mut policy.ingress, &mut policy.egress);
        assert!(is_caught(misreading(swap)), "confuses the {} with {}", Direction::Egress, Direction::Ingress);
    }

    #[test]
    fn what_misreads_peers_is() {
        assert!(is_caught(misreading_rules(|rule| rule.peers = Peers::All)), "ignores peers");
        assert!(
            is_caught(misreading_peers(|peer| if let Peer::Block(block) = peer {
                *block = IpBlock::new(block.cidr(), []).unwrap();
            })),
            "ignores except"
        );
        assert!(
            is_caught(misreading_peers(|peer| if let Peer::Pods(group) = peer {
                group.pods = Selector::default();
            })),
            "ignores the podSelector"
        );
        assert!(
            is_caught(misreading_peers(|peer| if let Peer::Pods(group) = peer {
                group.namespaces = NamespaceScope::Matching(Selector::default());
            })),
            "ignores the namespaceSelector"
        );
        let empty_is_all = |rule: &mut Rule| {
            if rule.peers == Peers::AnyOf(vec![]) {
                rule.peers = Peers::All;
            }
        };
        assert!(is_caught(misreading_rules(empty_is_all)), "takes no peers for all peers");
    }

    #[test]
    fn what_misreads_ports_is() {
        assert!(is_caught(misreading_rules(|rule| rule.ports = Ports::All)), "ignores ports");
        assert!(
            is_caught(misreading_ports(|port| if let PortMatch::Numbers { ports, .. } = port {
                *ports = PortRange::single(ports.first());
            })),
            "ignores endPort"
        );
        assert!(
            is_caught(misreading_ports(|port| if let PortMatch::Numbers { ports, .. } = port {
                *ports = PortRange::new(ports.first(), ports.last().saturating_sub(1).max(ports.first())).unwrap();
            })),
            "takes endPort for exclusive"
        );
        assert!(
            is_caught(misreading_ports(|port| match port {
                PortMatch::Numbers { protocol, .. } | PortMatch::Named { protocol, .. } =>
                    *protocol = palisade_model::Protocol::Tcp,
            })),
            "takes every protocol for TCP"
        );
        assert!(
            is_caught(misreading_rules(|rule| if let Ports::AnyOf(ports) = &mut rule.ports {
                ports.retain(|port| matches!(port, PortMatch::Numbers { .. }));
            })),
            "ignores named ports"
        );
    }

    #[test]
    fn what_misreads_cluster_policies_is() {
        assert!(is_caught(misreading_cluster_policies(|policy| policy.priority = 0)), "ignores priorities");
        assert!(
            is_caught(misreading_cluster_policies(|policy| policy.priority = 1000 - policy.priority)),
            "greatest first"
        );
        assert!(is_caught(misreading_cluster_policies(|policy| policy.tier = Tier::Admin)), "knows one tier");
        assert!(
            is_caught(misreading_cluster_policies(|policy| policy.subject.pods = Selector::default())),
            "ignores the subject's podSelector"
        );
        assert!(is_caught(misreading_cluster_policies(|policy| policy.egress.reverse())), "last rule first");
        assert!(is_caught(misreading_cluster_policies(|policy| policy.ingress.truncate(1))), "first rule only");
        let is = |action: TierAction, instead: TierAction| {
            is_caught(misreading_cluster_rules(move |rule| {
                if rule.action == action {
                    rule.action = instead;
                }
            }))
        };
        assert!(is(TierAction::Pass, TierAction::Accept), "takes Pass for Accept");
        assert!(is(TierAction::Pass, TierAction::Deny), "takes Pass for Deny");
        assert!(is(TierAction::Accept, TierAction::Pass), "takes Accept for Pass");
        assert!(is(TierAction::Deny, TierAction::Pass), "takes Deny for Pass");
        let retain = |keep: fn(&ClusterPeer) -> bool| {
            is_caught(misreading_cluster_rules(move |rule| {
                if let ClusterPeers::AnyOf(peers) = &mut rule.peers {
                    peers.retain(keep);
                }
            }))
        };
        assert!(retain(|peer| !matches!(peer, ClusterPeer::Nodes(_))), "knows no nodes");
        assert!(retain(|peer| !matches!(peer, ClusterPeer::Network(_))), "knows no networks");
        assert!(
            is_caught(misreading_cluster_rules(|rule| {
                if rule.peers == ClusterPeers::Others {
                    rule.peers = ClusterPeers::AnyOf(vec![]);
                }
            })),
            "opens rules that are not understood"
        );
        assert!(is_caught(misreading_cluster_rules(|rule| rule.ports = Ports::All)), "ignores protocols");
    }

    #[test]
    fn what_miswrites_cluster_policies_is() {
        let is_other = |part: &Match| matches!(part, Match::NotIn(Key::SourceAndEnd(..), _));
        assert!(
            is_caught(miswriting_rules(|statement| statement.matches.retain(|part| !is_other(part)))),
            "denies a pod itself what is not understood"
        );
        assert!(
            is_caught(miswriting(|ruleset| ruleset.chains.retain(|name, _| name.as_str() != "input-egress"))),
            "does not look at what is for the node"
        );
        let passes = Verdict::Goto(Name::new("pass").unwrap());
        assert!(
            is_caught(miswriting_rules(|statement| if statement.action == Action::Verdict(passes.clone()) {
                statement.action = Action::Verdict(Verdict::Accept);
            })),
            "accepts what is passed on"
        );
    }

    #[test]
    fn what_miswrites_rules_is() {
        let drops = |statement: &Statement| statement.action == Action::Verdict(Verdict::Drop);
        assert!(
            is_caught(miswriting_rules(|statement| if drops(statement) {
                statement.action = Action::Verdict(Verdict::Accept);
            })),
            "never drops"
        );
        assert!(
            is_caught(miswriting_rules(|statement| for part in &mut statement.matches {
                if let Match::In(Key::Address(_, field), _) = part {
                    *field = other(*field);
                }
            })),
            "looks at the wrong end"
        );
        assert!(
            is_caught(miswriting_rules(|statement| {
                if let Action::Vmap(Key::Address(_, field), _) = &mut statement.action {
                    *field = other(*field);
                }
            })),
            "dispatches by the wrong end"
        );
        assert!(
            is_caught(miswriting(|ruleset| {
                for chain in ruleset.chains.values_mut().filter(|chain| chain.base.is_none()) {
                    chain.rules.retain(|rule| !matches!(rule, palisade_nft::Rule::Own(Statement { matches, .. }) if matches.iter().any(|part| matches!(part, Match::Address(..)))));
                }
            })),
            "forgets the pod itself"
        );
    }

    #[test]
    fn what_miswrites_elements_is() {
        assert!(
            is_caught(miswriting(|ruleset| for set in ruleset.sets.values_mut() {
                match &mut set.elements {
                    Elements::Ipv4(elements) => drop(elements.pop_first()),
                    Elements::Ipv4Ranges(elements) => drop(elements.pop_first()),
                    _ => {}
                }
            })),
            "forgets an element"
        );
        assert!(
            is_caught(miswriting(|ruleset| for set in ruleset.sets.values_mut() {
                if let Elements::Ipv6Verdicts(elements) = &mut set.elements {
                    elements.clear();
                }
            })),
            "forgets IPv6 pods"
        );
        assert!(
            is_caught(miswriting(|ruleset| for set in ruleset.sets.values_mut() {
                match &mut set.elements {
                    Elements::PortVerdicts(ports) => ports.values_mut().for_each(|verdict| *verdict = Verdict::Accept),
                    Elements::PortRangeVerdicts(ports) => {
                        ports.values_mut().for_each(|verdict| *verdict = Verdict::Accept);
                    }
                    _ => {}
                }
            })),
            "opens ports for everyone"
        );
    }

    fn other(field: AddressField) -> AddressField {
        match field {
            AddressField::Saddr => AddressField::Daddr,
            AddressField::Daddr => AddressField::Saddr,
            AddressField::OriginalSaddr => AddressField::ReplySaddr,
            AddressField::ReplySaddr => AddressField::OriginalSaddr,
        }
    }
}
