//! `status` and `diff`: what the kernel holds, and what it should.

use palisade_integration::netns::owns_tables;
use serde_json::json;

use crate::agent::{Agent, eventually};
use crate::node::{Node, says};
use crate::shop::{pod, policy, shop, shop_and};

#[test]
fn status_of_nothing() {
    let node = Node::new(&shop());
    says(&node.plain(&["status"]).succeeds(), &["table inet palisade: not there: nothing is enforced on this node\n"]);
    let status = node.status();
    assert_eq!((&status["enforced"], &status["owner"], &status["pods"]), (&json!(false), &json!(null), &json!({})));
    assert_eq!(status["table"], "inet palisade");
}

#[test]
fn status_of_a_running_agent() {
    let node =
        Node::new(&shop_and(&policy("shop", "out", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}")));
    let agent = Agent::start(&node);
    let status = node.status();
    let none = json!({"packets": 0, "bytes": 0});
    assert_eq!(
        status["pods"],
        json!({
            "shop/db": {"addresses": ["10.0.0.2", "fd00::2"], "ingress": none},
            "shop/web": {"addresses": ["10.0.0.1", "fd00::1"], "egress": none, "ingress": none},
        })
    );
    let owner = owns_tables().then(|| format!("process {} (palisade)", agent.id()));
    assert_eq!((&status["enforced"], &status["owner"]), (&json!(true), &json!(owner)));
    assert_eq!(status["generation"], node.generation());
    assert_eq!(status["contents"]["foreign"], 0);
    for count in ["chains", "rules", "sets", "elements"] {
        assert!(status["contents"][count].as_u64().unwrap() > 3, "{status}");
    }
    let text = node.plain(&["status"]).succeeds();
    let owned = owner.map_or("kept by the agent; others can write it".to_owned(), |owner| format!("owned by {owner}"));
    says(&text, &[&format!("enforced, {owned}"), "2 isolated pods", "shop/db ", "10.0.0.1 fd00::1", "open"]);
    agent.stop();
    assert_eq!(node.status()["owner"], json!(null));
    says(&node.plain(&["status"]).succeeds(), &["enforced, no agent owns it"]);
}

/// There are none: it is not that they have not synced.
#[test]
fn status_of_an_agent_with_manifests_tells_of_no_watches() {
    let lone = pod("lone", "wolf", "node-b", &["10.0.1.77"]);
    let node = Node::new(&shop_and(&lone));
    let agent = Agent::start(&node);
    let status = node.status();
    assert_eq!((&status["agent"]["watches"], &status["agent"]["ready"]), (&json!([]), &json!(true)), "{status}");
    let text = node.plain(&["status"]).succeeds();
    says(&text, &["state       enforcing\n", "hint        no Namespace object", "lone\n"]);
    assert!(!text.contains("not synced"), "{text}");
    says(&agent.log(), &["WARN no Namespace object"]);
    node.write("cluster.yaml", &shop());
    eventually(|| node.status()["agent"]["hints"].is_null().then_some(()), || "the hint stays".to_owned());
}

#[test]
fn status_tells_what_is_not_ours() {
    let node = Node::enforcing(&shop());
    node.load("add set inet palisade theirs { type mark; }");
    assert_eq!(node.status()["contents"]["foreign"], 1);
    says(&node.plain(&["status"]).succeeds(), &["1 objects in it are not ours"]);
}

#[test]
fn asking_changes_nothing() {
    let node = Node::enforcing(&shop());
    node.write("more.yaml", &pod("shop", "more", "node-a", &["10.0.0.77"]));
    let (listing, generation) = (node.listing(), node.generation());
    node.plain(&["status"]).succeeds();
    node.palisade("diff").succeeds();
    node.palisade("render").succeeds();
    assert_eq!((node.listing(), node.generation()), (listing, generation));
}

#[test]
fn diff_is_what_a_commit_then_writes() {
    let node = Node::new(&shop());
    says(&node.palisade("diff").succeeds(), &["add table", "pod-ingress-shop-db-", "10.0.0.2"]);
    node.once().succeeds();
    assert_eq!(node.palisade("diff").succeeds(), "");
    node.write("more.yaml", &pod("office", "desk-2", "node-b", &["10.0.1.77"]));
    let difference = node.palisade("diff").succeeds();
    says(&difference, &["add element", "10.0.1.77"]);
    assert_eq!(difference.lines().count(), 1, "{difference}");
    node.once().succeeds();
    assert_eq!(node.palisade("diff").succeeds(), "");
}

/// As after a restart of the node, when the API shows an address that was given away as that of its old pod, too.
#[test]
fn two_live_pods_with_one_address_are_told_once() {
    let node = Node::new(&shop());
    let agent = Agent::start(&node);
    node.write("cluster.yaml", &shop_and(&pod("shop", "twin", "node-a", &["10.0.0.1"])));
    let line = agent.says("several pods claim this address");
    says(&line, &["WARN", "address=10.0.0.1", "shop/twin", "shop/web"]);
    node.write("more.yaml", &pod("office", "desk-2", "node-b", &["10.0.1.77"]));
    agent.catches_up(&node);
    let explain = ["--from", "10.0.1.2", "--to", "10.0.0.1", "--port", "80"];
    let mut asked = node.program();
    asked.args(["explain", "--manifests"]).arg(node.manifests()).args(explain);
    says(&node.finish(&mut asked).succeeds(), &["hint: 10.0.0.1 is claimed by shop/"]);
    node.write("cluster.yaml", &shop());
    agent.catches_up(&node);
    node.write("cluster.yaml", &shop_and(&pod("shop", "third", "node-a", &["10.0.0.2"])));
    says(&agent.says("shop/third"), &["WARN", "address=10.0.0.2", "shop/db"]);
    assert_eq!(agent.log().matches("several pods claim").count(), 2, "{}", agent.log());
}
