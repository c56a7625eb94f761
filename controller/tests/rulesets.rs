//! Rulesets and transactions, reviewed as code: one policy idea each. `cargo insta review` shows what changed.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod support;

use insta::assert_snapshot;
use support::Node;

const SHOP: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop, labels: {team: sales}}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {nodeName: node-a, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db, namespace: shop, labels: {app: db}}, spec: {nodeName: other}, status: {podIPs: [{ip: 10.0.1.1}]}}
";

fn policy(spec: &str) -> String {
    format!(
        "{SHOP}---\n{{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {{name: p, namespace: shop}}, spec: {spec}}}\n"
    )
}

#[test]
fn without_policies_there_is_only_the_frame() {
    assert_snapshot!(Node::of(SHOP).ruleset());
}

#[test]
fn deny_all() {
    assert_snapshot!(Node::of(&policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")).objects());
}

#[test]
fn a_port_for_a_group_of_pods() {
    let spec = "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}]}";
    assert_snapshot!(Node::of(&policy(spec)).objects());
}

#[test]
fn rules_without_ports_hold_for_every_protocol() {
    let spec = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: sales}}}]}]}";
    assert_snapshot!(Node::of(&policy(spec)).objects());
}

#[test]
fn overlapping_ranges_become_segments() {
    let spec = "{podSelector: {}, ingress: [
        {from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80, endPort: 90}]},
        {from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 85, endPort: 95}]},
        {ports: [{port: 9090}, {port: 53, protocol: UDP}]}]}";
    assert_snapshot!(Node::of(&policy(spec)).objects());
}

#[test]
fn exceptions_are_cut_out_of_their_block() {
    let spec = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [
        {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.1.2.0/24}}]}]}";
    assert_snapshot!(Node::of(&policy(spec)).objects());
}

#[test]
fn named_ports_are_the_pods_own_on_ingress() {
    assert_snapshot!(Node::of(&policy("{podSelector: {}, ingress: [{ports: [{port: http}]}]}")).objects());
}

#[test]
fn named_ports_are_endpoints_on_egress() {
    let spec = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}";
    assert_snapshot!(Node::of(&policy(spec)).objects());
}

/// Policies of the administrator's tiers, after what [`SHOP`] holds.
fn cluster_policies(specs: &[&str]) -> String {
    let policy = |(at, spec): (usize, &&str)| {
        let names = ["lockdown", "defaults"];
        format!(
            "---\n{{kind: ClusterNetworkPolicy, apiVersion: policy.networking.k8s.io/v1alpha2, metadata: {{name: {}}}, spec: {spec}}}\n",
            names[at]
        )
    };
    specs.iter().enumerate().map(policy).collect()
}

const LOCKDOWN: &str = "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [
    {name: dns, action: Accept, to: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 53}}}]},
    {action: Deny, to: [{networks: [169.254.169.254/32]}, {nodes: {}}]},
    {action: Pass, to: [{pods: {podSelector: {matchLabels: {app: db}}}}]},
    {action: Deny, to: [{namespaces: {matchLabels: {team: sales}}}], protocols: [{destinationNamedPort: http}]}]}";
const DEFAULTS: &str = "{tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [
    {action: Deny, from: [{namespaces: {matchExpressions: [{key: team, operator: Inn, values: [x]}]}}]}]}";

#[test]
fn tiers_are_asked_in_turn() {
    assert_snapshot!(Node::of(&format!("{SHOP}{}", cluster_policies(&[LOCKDOWN, DEFAULTS]))).objects());
}

#[test]
fn the_baseline_is_not_asked_where_a_policy_isolates() {
    let isolated = policy("{podSelector: {}, policyTypes: [Ingress]}");
    assert_snapshot!(Node::of(&format!("{isolated}{}", cluster_policies(&[LOCKDOWN, DEFAULTS]))).objects());
}

/// What one event costs: the transactions that it leads to, whole.
mod transactions {
    use super::*;

    const FROM_DB: &str = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: sales}}, podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}]}]}";

    fn change(from: &str, to: &str) -> String {
        Node::of(from).change(to).to_string()
    }

    #[test]
    fn a_remote_pod_is_added() {
        let before = policy(FROM_DB);
        let pod = "---\n{kind: Pod, apiVersion: v1, metadata: {name: db-2, namespace: shop, labels: {app: db}}, spec: {nodeName: other}, status: {podIPs: [{ip: 10.0.1.2}]}}\n";
        assert_snapshot!(change(&before, &format!("{before}{pod}")));
    }

    #[test]
    fn a_local_pod_is_added() {
        let before = policy(FROM_DB);
        let pod = "---\n{kind: Pod, apiVersion: v1, metadata: {name: web-2, namespace: shop, labels: {app: web}}, spec: {nodeName: node-a}, status: {podIPs: [{ip: 10.0.0.2}]}}\n";
        assert_snapshot!(change(&before, &format!("{before}{pod}")));
    }

    #[test]
    fn a_label_is_changed() {
        let before = policy(FROM_DB);
        assert_snapshot!(change(&before, &before.replace("labels: {app: db}}, spec", "labels: {app: cache}}, spec")));
    }

    #[test]
    fn a_policy_is_edited() {
        let before = policy(FROM_DB);
        assert_snapshot!(change(&before, &before.replace("port: 80}]}]", "port: 80}, {port: 443}]}]")));
    }

    #[test]
    fn a_policy_is_deleted() {
        assert_snapshot!(change(&policy(FROM_DB), SHOP));
    }

    #[test]
    fn a_namespace_is_relabelled() {
        let before = policy(FROM_DB);
        assert_snapshot!(change(&before, &before.replace("{team: sales}}}\n---", "{team: support}}}\n---")));
    }

    /// Of all pods that come under it, none is written.
    #[test]
    fn a_cluster_policy_is_edited() {
        let before = format!("{SHOP}{}", cluster_policies(&[LOCKDOWN, DEFAULTS]));
        assert_snapshot!(change(&before, &before.replace("number: 53", "number: 5353")));
    }

    #[test]
    fn nothing_relevant_is_changed() {
        let before = policy(FROM_DB);
        assert_eq!(change(&before, &before.replace("labels: {app: web}", "labels: {app: web, other: x}")), "");
    }
}
