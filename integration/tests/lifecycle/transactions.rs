//! Every change of the state is one transaction, which holds the difference only: the kernel tells one new generation, and
//! another one where sets that were looked up before go for good.

use std::fs;
use std::iter;

use palisade_nft::{Event, Monitor};

use crate::agent::Agent;
use crate::node::{Node, table};
use crate::shop::{namespace, objects, pod, policy, shop, shop_and, shop_with};

/// Does `change` under a running agent, and asserts that what it leads to is one transaction of the agent's. Gives the
/// node, and the handles of all objects that were there before.
#[track_caller]
fn one_transaction(before: &str, change: impl FnOnce(&Node)) -> (Node, Vec<String>) {
    transactions(1, before, change)
}

/// The same of one transaction, and a second one that takes away sets that nothing looks up any more: packets in flight
/// may till then.
#[track_caller]
fn one_transaction_and_retirement(before: &str, change: impl FnOnce(&Node)) -> (Node, Vec<String>) {
    transactions(2, before, change)
}

#[track_caller]
fn transactions(count: usize, before: &str, change: impl FnOnce(&Node)) -> (Node, Vec<String>) {
    let node = Node::new(before);
    let agent = Agent::start(&node);
    let (held, handles) = (node.listing(), node.handles());
    let mut monitor = node.namespace().enter(|| Monitor::open(table())).unwrap().unwrap();
    change(&node);
    agent.catches_up(&node);
    let id = agent.id();
    agent.stop();
    let events: Vec<Event> = iter::from_fn(|| monitor.try_next().unwrap()).collect();
    assert_eq!(events.len(), count, "{events:?}");
    for event in &events {
        let Event::NewGeneration { pid, process, touched: true, .. } = event else { panic!("{events:?}") };
        assert_eq!((*pid, &**process), (id, "palisade"));
    }
    assert_ne!(node.listing(), held);
    (node, handles)
}

/// [`one_transaction`] that leaves every object as it was: only elements come and go.
#[track_caller]
fn one_transaction_of_elements(before: &str, change: impl FnOnce(&Node)) -> Node {
    let (node, handles) = one_transaction(before, change);
    assert_eq!(node.handles(), handles);
    node
}

#[test]
fn a_remote_pod_is_added() {
    let node = one_transaction_of_elements(&shop(), |node| {
        node.write("more.yaml", &pod("office", "desk-2", "node-b", &["10.0.1.77"]));
    });
    assert!(node.listing().contains("10.0.1.77"));
}

#[test]
fn a_remote_pod_is_removed() {
    let more = pod("office", "desk-2", "node-b", &["10.0.1.77"]);
    let node = one_transaction_of_elements(&shop_and(&more), |node| node.write("cluster.yaml", &shop()));
    assert!(!node.listing().contains("10.0.1.77"));
}

#[test]
fn a_local_pod_is_added() {
    let (node, handles) = one_transaction(&shop(), |node| {
        node.write("more.yaml", &pod("shop", "web-2", "node-a", &["10.0.0.77", "fd00::77"]));
    });
    assert!(node.handles().iter().any(|handle| handle.contains("pod-ingress-shop-web-2-")));
    assert!(handles.iter().all(|handle| node.handles().contains(handle)), "what was there stays as it is");
}

#[test]
fn a_label_is_changed() {
    let cache = pod("shop", "cache", "node-b", &["10.0.1.1", "fd00:1::1"]);
    let relabelled = cache.replace("{app: cache}", "{app: other}");
    let node = one_transaction_of_elements(&shop(), |node| node.write("cluster.yaml", &shop_with(&cache, &relabelled)));
    assert!(!node.listing().contains("10.0.1.1,"));
}

#[test]
fn a_policy_is_edited() {
    let (node, _) = one_transaction(&shop(), |node| node.write("cluster.yaml", &shop_with("port: 22", "port: 23")));
    assert!(node.listing().contains("23 : "));
}

#[test]
fn a_policy_is_added_and_another_goes() {
    one_transaction_and_retirement(&shop(), |node| {
        let another = policy("shop", "another", "{podSelector: {}, policyTypes: [Egress]}");
        let text = shop().replace(&policy("shop", "deny-all", "{podSelector: {}, policyTypes: [Ingress]}"), &another);
        node.write("cluster.yaml", &text);
    });
}

#[test]
fn a_namespace_is_relabelled() {
    let node = one_transaction_of_elements(&shop(), |node| {
        node.write("cluster.yaml", &shop_with("{team: support}}}\n", "{team: research}}}\n"));
    });
    assert!(!node.listing().contains("10.0.1.2"));
}

#[test]
fn many_objects_in_one_file_are_replaced() {
    let many = |from: u8| {
        let pods: Vec<_> =
            (from..from + 40).map(|i| pod("shop", &format!("web-{i}"), "node-a", &[&format!("10.0.3.{i}")])).collect();
        let policies: Vec<_> = (from..from + 20)
            .map(|i| {
                policy(
                    "shop",
                    &format!("p-{i}"),
                    &format!(
                        "{{podSelector: {{matchLabels: {{app: web-{i}}}}}, ingress: [{{ports: [{{port: {i}}}]}}]}}"
                    ),
                )
            })
            .collect();
        let all: Vec<&str> = pods.iter().chain(&policies).map(String::as_str).collect();
        objects(&[&shop(), &namespace(&format!("n-{from}"), "{}"), &objects(&all)])
    };
    let (node, _) = one_transaction_and_retirement(&many(1), |node| node.write("cluster.yaml", &many(30)));
    let listing = node.listing();
    assert!(listing.contains("10.0.3.69") && !listing.contains("10.0.3.29"), "{listing}");
}

#[test]
fn a_directory_of_files_is_replaced_by_renaming() {
    one_transaction(&shop(), |node| {
        let other = node.path("other");
        fs::create_dir(&other).unwrap();
        for (i, address) in ["10.0.0.51", "10.0.0.52", "10.0.0.53"].into_iter().enumerate() {
            fs::write(other.join(format!("{i}.yaml")), pod("shop", &format!("more-{i}"), "node-a", &[address]))
                .unwrap();
        }
        fs::write(other.join("cluster.yaml"), shop()).unwrap();
        fs::rename(other, node.manifests().join("other")).unwrap();
        fs::remove_file(node.manifests().join("cluster.yaml")).unwrap();
    });
}

#[test]
fn what_matters_to_no_policy_is_not_written() {
    let node = Node::new(&shop());
    let agent = Agent::start(&node);
    let generation = node.generation();
    let web = pod("shop", "web", "node-a", &["10.0.0.1", "fd00::1"]);
    let text = shop_with(&web, &web.replace("{app: web}", "{app: web, other: label}"));
    node.write(
        "cluster.yaml",
        &objects(&[&text, &pod("office", "lamp", "node-b", &["10.0.1.9"]).replace("office", "elsewhere")]),
    );
    node.write("last.yaml", &pod("office", "desk-2", "node-b", &["10.0.1.77"]));
    agent.catches_up(&node);
    agent.stop();
    assert_eq!(node.generation(), generation + 1);
}
