//! What is recommended lets pass what is wished, and nothing else, and no part of it can be left out.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::recommend::{End, Recommendation, Scope, Surplus, Whom, Wish, is_stable, recommend, surplus};
use palisade_model::reference::{Cluster, Flow};
use palisade_model::testing::bare_pod;
use palisade_model::{
    Change, Direction, Labels, Namespace, NamespacedName, Peers, Pod, Policy, PortRange, Ports, Protocol, Rule,
    Traffic, workload,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const NAMESPACES: [&str; 2] = ["x", "y"];
const NAMES: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 3] = ["app", "tier", "team"];
const OUTSIDE: [&str; 5] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7", "203.0.113.9"];
const PORTS: [u16; 4] = [80, 81, 443, 8080];

/// Where no wish leads.
const ELSEWHERE: (&str, u16) = ("203.0.113.77", 9999);

/// Pods of a Deployment, each with stable labels of its own, and one that comes with each pod.
fn deployment() -> impl Strategy<Value = Vec<Pod>> {
    let labels = vec((select(&KEYS[..]), select(&["1", "2"][..])), 0..=3);
    (select(&NAMESPACES[..]), select(&NAMES[..]), labels, vec(prop::option::weighted(0.2, select(&KEYS[..])), 1..=3))
        .prop_map(|(namespace, name, labels, pods)| {
            let pod = |(number, own): (usize, Option<&str>)| {
                let hash = format!("hash{number}");
                let id = NamespacedName::new(namespace, format!("{name}-{hash}-abcd{number}"));
                let own = own.into_iter().map(|key| (key.to_owned(), format!("own-{number}")));
                let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
                Pod {
                    labels: labels.chain(own).chain([("pod-template-hash".to_owned(), hash)]).collect(),
                    ..bare_pod(id, [])
                }
            };
            pods.into_iter().enumerate().map(pod).collect()
        })
}

/// Each pod has an address of its own.
fn clusters() -> impl Strategy<Value = Cluster> {
    vec(deployment(), 2..=6).prop_map(|deployments| {
        let mut cluster = Cluster::default();
        for name in NAMESPACES {
            let labels = Labels::from_iter([("kubernetes.io/metadata.name", name)]);
            cluster.apply(Change::Namespace(Namespace { name: name.into(), labels }));
        }
        deployments.into_iter().flatten().for_each(|pod| cluster.apply(Change::Pod(pod)));
        for (number, pod) in cluster.pods.values_mut().enumerate() {
            pod.ips = vec![IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()])];
        }
        cluster
    })
}

fn workload_of(pod: &Pod) -> NamespacedName {
    NamespacedName::new(pod.id.namespace.clone(), workload(&pod.id.name, &pod.labels))
}

fn workloads(cluster: &Cluster) -> BTreeMap<NamespacedName, Vec<&Pod>> {
    let mut workloads = BTreeMap::<_, Vec<&Pod>>::new();
    cluster.pods.values().for_each(|pod| workloads.entry(workload_of(pod)).or_default().push(pod));
    workloads
}

/// Of pods and of addresses outside. What one pod says to itself passes anyway, and is wished by nobody.
fn wishes(cluster: &Cluster) -> impl Strategy<Value = Vec<Wish>> + use<> {
    let ends = workloads(cluster).into_iter().map(|(name, pods)| (End::Workload(name), pods.len()));
    let outside = OUTSIDE.iter().map(|ip| (End::Network(ip.parse::<IpAddr>().unwrap().into()), 0));
    let ends: Vec<(End, usize)> = ends.chain(outside).collect();
    let ports = (select(&PORTS[..]), select(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp][..]));
    let wish =
        (select(ends.clone()), select(ends), ports).prop_filter_map("two ends", |(from, to, (port, protocol))| {
            let is_pointless = from == to && from.1 < 2;
            let ports = PortRange::single(port);
            (!is_pointless).then_some(Wish { from: from.0, to: to.0, protocol, ports })
        });
    vec(wish, 0..=10)
}

fn scopes() -> impl Strategy<Value = Scope> {
    let directions = btree_set(select(&Direction::ALL[..]), 1..=2);
    let namespaces = subsequence(&NAMESPACES[..], 1..=2);
    (namespaces, directions).prop_map(|(namespaces, directions)| Scope {
        namespaces: namespaces.into_iter().map(Into::into).collect(),
        directions,
        most_blocks: 16,
    })
}

fn all() -> impl Strategy<Value = (Cluster, Vec<Wish>, Scope)> {
    let wished = |cluster: Cluster| {
        let wishes = wishes(&cluster);
        (Just(cluster), wishes)
    };
    (clusters().prop_flat_map(wished), scopes()).prop_map(|((cluster, wishes), scope)| (cluster, wishes, scope))
}

/// With these policies, and a pod in each namespace that nobody has thought of.
fn enforced(cluster: &Cluster, policies: impl IntoIterator<Item = Policy>) -> Cluster {
    let mut cluster = cluster.clone();
    policies.into_iter().for_each(|policy| cluster.apply(Change::Policy(policy)));
    for (number, namespace) in NAMESPACES.into_iter().enumerate() {
        let address = IpAddr::from([10, 0, 1, u8::try_from(number).unwrap()]);
        let labels = KEYS.into_iter().map(|key| (key, "stranger")).collect();
        let pod = Pod { labels, ..bare_pod(NamespacedName::new(namespace, "stranger"), [address]) };
        cluster.apply(Change::Pod(pod));
    }
    cluster
}

fn policies(recommended: &Recommendation) -> Vec<Policy> {
    recommended.policies.iter().map(|recommended| recommended.policy.clone()).collect()
}

/// What one end is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    direction: Direction,
    own: IpAddr,
    peer: IpAddr,
    protocol: Protocol,
    port: u16,
}

impl Question {
    fn flow(&self) -> Flow {
        let (source, destination) = match self.direction {
            Direction::Egress => (self.own, self.peer),
            Direction::Ingress => (self.peer, self.own),
        };
        Flow { source, destination, traffic: Traffic::Port { protocol: self.protocol, port: self.port } }
    }
}

/// Of the pods of the namespaces that are asked for, strangers included.
fn questions(cluster: &Cluster, scope: &Scope) -> Vec<Question> {
    let outside = OUTSIDE.iter().chain([&ELSEWHERE.0]).map(|ip| ip.parse::<IpAddr>().unwrap());
    let pods = cluster.pods.values().flat_map(|pod| pod.ips.iter().copied());
    let peers: Vec<IpAddr> = pods.chain(outside).collect();
    let ports: Vec<(Protocol, u16)> = [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .flat_map(|protocol| PORTS.into_iter().chain([ELSEWHERE.1]).map(move |port| (protocol, port)))
        .collect();
    let mut questions = Vec::new();
    for pod in cluster.pods.values().filter(|pod| scope.namespaces.contains(&pod.id.namespace)) {
        for direction in scope.directions.iter().copied() {
            for peer in peers.iter().copied().filter(|peer| *peer != pod.ips[0]) {
                let all = ports.iter();
                questions.extend(all.map(|(protocol, port)| Question {
                    direction,
                    own: pod.ips[0],
                    peer,
                    protocol: *protocol,
                    port: *port,
                }));
            }
        }
    }
    questions
}

/// Those that are let pass at their own end.
fn allowed(cluster: &Cluster, questions: &[Question]) -> BTreeSet<Question> {
    let lets = |question: &&Question| cluster.verdict(&question.flow()).of(question.direction).allowed;
    questions.iter().filter(lets).copied().collect()
}

/// For each key that a selector can ask for what all of these pods have: their values, or none.
fn narrowest(pods: &[&Pod]) -> BTreeMap<&'static str, BTreeSet<Option<Arc<str>>>> {
    let values =
        |key: &str| pods.iter().map(|pod| pod.labels.get(key).map(Into::into)).collect::<BTreeSet<Option<Arc<str>>>>();
    let of_keys = KEYS.into_iter().map(|key| (key, values(key)));
    of_keys.filter(|(_, values)| values.len() == 1 || !values.contains(&None)).collect()
}

/// Which workloads labels do not tell apart: the least that holds each with whom its narrowest selector selects.
fn indistinct(cluster: &Cluster) -> Vec<BTreeSet<NamespacedName>> {
    let workloads = workloads(cluster);
    let mut sets: Vec<BTreeSet<NamespacedName>> = workloads.keys().map(|name| BTreeSet::from([name.clone()])).collect();
    loop {
        let pods =
            |set: &BTreeSet<NamespacedName>| set.iter().flat_map(|name| workloads[name].clone()).collect::<Vec<&Pod>>();
        let selects = |one: &BTreeSet<NamespacedName>, other: &BTreeSet<NamespacedName>| {
            let narrowest = narrowest(&pods(one));
            let is_selected = |pod: &&Pod| {
                narrowest.iter().all(|(key, values)| values.contains(&pod.labels.get(key).map(Into::into)))
            };
            one.first().unwrap().namespace == other.first().unwrap().namespace && pods(other).iter().any(is_selected)
        };
        let pairs = (0..sets.len()).flat_map(|one| (0..sets.len()).map(move |other| (one, other)));
        let mut alike = pairs.filter(|(one, other)| one != other && selects(&sets[*one], &sets[*other]));
        let Some((one, other)) = alike.next() else { return sets };
        let joined = sets.remove(one.max(other));
        sets[one.min(other)].extend(joined);
    }
}

/// Whether a wish is about what is asked, as far as labels tell.
fn is_wished(cluster: &Cluster, indistinct: &[BTreeSet<NamespacedName>], wishes: &[Wish], question: &Question) -> bool {
    let is = |end: &End, address: IpAddr| match end {
        End::Network(net) => net.contains(&address),
        End::Workload(name) => cluster
            .owner(address)
            .is_some_and(|pod| indistinct.iter().any(|set| set.contains(name) && set.contains(&workload_of(pod)))),
    };
    let flow = question.flow();
    wishes.iter().any(|wish| {
        let has_port = wish.protocol == question.protocol && wish.ports.contains(question.port);
        has_port && is(&wish.from, flow.source) && is(&wish.to, flow.destination)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn what_is_wished_passes_and_nothing_else_as_far_as_labels_tell((cluster, wishes, scope) in all()) {
        let recommended = recommend(&cluster, &wishes, &scope);
        let indistinct = indistinct(&cluster);
        let cluster = enforced(&cluster, policies(&recommended));
        let questions = questions(&cluster, &scope);
        let allowed = allowed(&cluster, &questions);
        let is_strange = |address: IpAddr| cluster.owner(address).is_some_and(|pod| pod.id.name == "stranger".into());
        for question in questions.iter().filter(|question| !is_strange(question.own) && !is_strange(question.peer)) {
            let wished = is_wished(&cluster, &indistinct, &wishes, question);
            prop_assert_eq!(allowed.contains(question), wished, "{:?} of {:#?}", question, recommended);
        }
        let several: BTreeSet<BTreeSet<NamespacedName>> = indistinct.into_iter().filter(|set| set.len() > 1).collect();
        for alike in &recommended.alike {
            prop_assert!(several.contains(&alike.iter().cloned().collect::<BTreeSet<_>>()), "{:?}", alike);
        }
        let asked = several.iter().filter(|set| scope.namespaces.contains(&set.first().unwrap().namespace));
        prop_assert!(asked.into_iter().all(|set| recommended.alike.contains(&set.iter().cloned().collect())));
    }

    /// A pod that nobody has thought of is isolated, and may do what all workloads of its namespace may.
    #[test]
    fn pods_to_come_may_do_what_all_may((cluster, wishes, scope) in all()) {
        let recommended = recommend(&cluster, &wishes, &scope);
        let cluster = enforced(&cluster, policies(&recommended));
        let questions = questions(&cluster, &scope);
        let allowed = allowed(&cluster, &questions);
        for question in allowed.iter().filter(|question| cluster.owner(question.own).unwrap().id.name == "stranger".into()) {
            let namespace = cluster.owner(question.own).unwrap().id.namespace.clone();
            let others = cluster.pods.values().filter(|pod| pod.id.namespace == namespace && pod.id.name != "stranger".into());
            let mut count = 0;
            for pod in others.filter(|pod| pod.ips[0] != question.peer) {
                prop_assert!(allowed.contains(&Question { own: pod.ips[0], ..*question }), "{:?} {}", question, pod.id);
                count += 1;
            }
            prop_assert!(count > 0);
        }
        for policy in cluster.policies.values() {
            prop_assert!(scope.namespaces.contains(&policy.id.namespace));
            for direction in Direction::ALL {
                prop_assert!(policy.rules(direction).is_none() || scope.directions.contains(&direction));
            }
        }
    }
}

/// All that is said with one thing less: a policy, a rule, a peer or a port.
fn lessened(policies: &[Policy]) -> Vec<Vec<Policy>> {
    let mut all = Vec::new();
    for at in 0..policies.len() {
        all.push([&policies[..at], &policies[at + 1..]].concat());
        for direction in Direction::ALL {
            for rule in 0..policies[at].rules(direction).unwrap_or_default().len() {
                let mut edit = |edit: &dyn Fn(&mut Vec<Rule>)| {
                    let mut policies = policies.to_vec();
                    edit(rules_of(&mut policies[at], direction));
                    all.push(policies);
                };
                edit(&|rules| drop(rules.remove(rule)));
                let Rule { peers: Peers::AnyOf(peers), ports: Ports::AnyOf(ports) } =
                    &policies[at].rules(direction).unwrap()[rule]
                else {
                    panic!("a rule for all")
                };
                for peer in 0..peers.len() {
                    edit(&|rules| {
                        if let Peers::AnyOf(peers) = &mut rules[rule].peers {
                            drop(peers.remove(peer));
                        }
                    });
                }
                for port in 0..ports.len() {
                    edit(&|rules| {
                        if let Ports::AnyOf(ports) = &mut rules[rule].ports {
                            drop(ports.remove(port));
                        }
                    });
                }
            }
        }
    }
    all
}

/// All that is said with two rules of a policy as one.
fn united(policies: &[Policy]) -> Vec<Vec<Policy>> {
    let mut all = Vec::new();
    for at in 0..policies.len() {
        for direction in Direction::ALL {
            let count = policies[at].rules(direction).unwrap_or_default().len();
            for (one, other) in (0..count).flat_map(|other| (0..other).map(move |one| (one, other))) {
                let mut policies = policies.to_vec();
                let rules = rules_of(&mut policies[at], direction);
                let Rule { peers: Peers::AnyOf(peers), ports: Ports::AnyOf(ports) } = rules.remove(other) else {
                    panic!()
                };
                let Rule { peers: Peers::AnyOf(of_peers), ports: Ports::AnyOf(of_ports) } = &mut rules[one] else {
                    panic!()
                };
                of_peers.extend(peers);
                of_ports.extend(ports);
                all.push(policies);
            }
        }
    }
    all
}

fn rules_of(policy: &mut Policy, direction: Direction) -> &mut Vec<Rule> {
    let rules = if direction == Direction::Egress { &mut policy.egress } else { &mut policy.ingress };
    rules.as_mut().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(16), ..ProptestConfig::default() })]

    #[test]
    fn nothing_can_be_left_out_and_no_two_rules_united((cluster, wishes, scope) in all()) {
        let policies = policies(&recommend(&cluster, &wishes, &scope));
        let before = enforced(&cluster, policies.clone());
        let questions = questions(&before, &scope);
        let passes = allowed(&before, &questions);
        for fewer in lessened(&policies) {
            let now = allowed(&enforced(&cluster, fewer.clone()), &questions);
            prop_assert!(now != passes, "as much passes by {:#?}", fewer);
        }
        for fewer in united(&policies) {
            let now = allowed(&enforced(&cluster, fewer.clone()), &questions);
            prop_assert!(now != passes, "as much passes by {:#?}", fewer);
        }
    }

    #[test]
    fn the_order_of_wishes_changes_no_policy((cluster, wishes, scope) in all()) {
        let reversed: Vec<Wish> = wishes.iter().rev().chain(&wishes).cloned().collect();
        let [one, other] = [wishes, reversed].map(|wishes| policies(&recommend(&cluster, &wishes, &scope)));
        prop_assert_eq!(one, other);
    }

    /// What is said to pass as well is what passes between workloads without a wish.
    #[test]
    fn what_else_passes_is_told((cluster, wishes, scope) in all()) {
        let mut cluster = cluster;
        policies(&recommend(&cluster, &wishes, &scope)).into_iter().for_each(|policy| cluster.apply(Change::Policy(policy)));
        let told: BTreeSet<(NamespacedName, NamespacedName, String)> = surplus(&cluster, &wishes, &scope).iter().map(pair).collect();
        let apart: Vec<BTreeSet<NamespacedName>> = workloads(&cluster).into_keys().map(|name| BTreeSet::from([name])).collect();
        let mut found = BTreeMap::<(NamespacedName, NamespacedName), BTreeSet<(Protocol, u16)>>::new();
        for question in questions(&cluster, &scope) {
            let flow = question.flow();
            let ends = [flow.source, flow.destination].map(|address| cluster.owner(address).map(workload_of));
            let [Some(from), Some(to)] = ends else { continue };
            if cluster.verdict(&flow).allowed && !is_wished(&cluster, &apart, &wishes, &question) {
                found.entry((from, to)).or_default().insert((question.protocol, question.port));
            }
        }
        let pairs: BTreeSet<(NamespacedName, NamespacedName)> = told.into_iter().map(|(from, to, _)| (from, to)).collect();
        prop_assert_eq!(pairs, found.into_keys().collect::<BTreeSet<_>>());
    }
}

fn pair(surplus: &Surplus) -> (NamespacedName, NamespacedName, String) {
    use palisade_model::reach::PlaceName;
    let name = |whom: &Whom| match whom {
        Whom::Place(PlaceName::Workload(name)) => name.clone(),
        other => panic!("{other:?} without a cluster policy"),
    };
    (name(&surplus.from), name(&surplus.to), surplus.ports.to_string())
}

#[test]
fn labels_that_go_with_a_pod_are_asked_for_by_no_policy() {
    assert!(!is_stable("pod-template-hash") && is_stable("app"));
}
