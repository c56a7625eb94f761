//! The smallest change that would make the verdict otherwise, as patches and manifests.

use palisade_model::reference::{Cluster, Flow};
use palisade_model::remedy::{self, Edit, Remedy};
use palisade_model::{Direction, NamespacedName};
use serde::Serialize;
use serde_json::{Value, json};

use crate::written;

/// The change, or why there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    /// `allow` or `forbid`.
    to: &'static str,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    impossible: Option<String>,
    /// Whether it takes an administrator of the cluster, since it is of ClusterNetworkPolicies.
    is_of_cluster: bool,
    /// Of policies that there are: to be made in this order.
    patches: Vec<Patch>,
    /// Policies that are to be there.
    objects: Vec<Value>,
    /// What it does beyond that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A JSON patch (RFC 6902) of one policy.
#[derive(Debug, Serialize)]
struct Patch {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    patch: Vec<Value>,
    /// What makes it.
    command: String,
}

impl Change {
    /// What would turn the verdict on `flow`, which is `allowed` now, round.
    pub(super) fn new(cluster: &Cluster, flow: &Flow, allowed: bool) -> Self {
        let to = if allowed { "forbid" } else { "allow" };
        let found = if allowed { remedy::forbid(cluster, flow) } else { remedy::allow(cluster, flow) };
        let mut change =
            Self { to, impossible: None, is_of_cluster: false, patches: vec![], objects: vec![], notes: vec![] };
        match found {
            Ok(remedy) => change.take(cluster, remedy),
            Err(obstacle) => change.impossible = Some(obstacle.to_string()),
        }
        change
    }

    fn take(&mut self, cluster: &Cluster, remedy: Remedy) {
        let mut edited = cluster.clone();
        self.is_of_cluster = remedy.edits.iter().any(Edit::is_of_cluster);
        for edit in &remedy.edits {
            match edit {
                Edit::NewPolicy(policy) => self.objects.push(written::policy(policy)),
                Edit::NewClusterPolicy(policy) => self.objects.push(written::cluster_policy(policy)),
                _ => self.patch(&edited, edit),
            }
            edit.apply(&mut edited);
        }
        self.patches.iter_mut().for_each(Patch::command);
        self.notes = remedy.notes;
    }

    /// Edits of one policy are one patch.
    fn patch(&mut self, cluster: &Cluster, edit: &Edit) {
        let Some((kind, id, operations)) = operations(cluster, edit) else { return };
        let namespace = (!id.namespace.is_empty()).then(|| id.namespace.to_string());
        let is_same = |patch: &Patch| (patch.kind, &patch.namespace, &*patch.name) == (kind, &namespace, &*id.name);
        match self.patches.iter_mut().find(|patch| is_same(patch)) {
            Some(patch) => patch.patch.extend(operations),
            None => {
                let name = id.name.to_string();
                self.patches.push(Patch { kind, namespace, name, patch: operations, command: String::new() });
            }
        }
    }

    /// For a person; nothing where all is as wanted.
    pub(super) fn text(&self) -> String {
        let Self { to, impossible, is_of_cluster, patches, objects, notes } = self;
        if let Some(why) = impossible {
            return format!("  to {to} it: {why}\n");
        }
        let who = if *is_of_cluster { ", as an administrator of the cluster" } else { "" };
        let mut text = String::new();
        // Each end may need one.
        let lead = |text: &str| if text.is_empty() { format!("to {to} it{who}") } else { "and".to_owned() };
        for patch in patches {
            text += &format!("  {}:\n    {}\n", lead(&text), patch.command);
        }
        for object in objects {
            let yaml = serde_saphyr::to_string(object).unwrap_or_else(|_| object.to_string());
            let yaml: String = yaml.lines().map(|line| format!("    {line}\n")).collect();
            text += &format!("  {}, kubectl apply -f:\n{yaml}", lead(&text));
        }
        text.extend(notes.iter().map(|note| format!("    ({note})\n")));
        text
    }
}

impl Patch {
    fn command(&mut self) {
        let namespace = self.namespace.as_ref().map(|name| format!("-n {name} ")).unwrap_or_default();
        let kind = self.kind.to_lowercase();
        // Neither names nor labels have quotes.
        let patch = Value::Array(self.patch.clone());
        self.command = format!("kubectl {namespace}patch {kind} {} --type=json -p '{patch}'", self.name);
    }
}

type Operations = (&'static str, NamespacedName, Vec<Value>);

/// The edit of a policy that is there, as operations of a JSON patch.
fn operations(cluster: &Cluster, edit: &Edit) -> Option<Operations> {
    let add = |path: String, value: Value| json!({"op": "add", "path": path, "value": value});
    let of_policy = |policy: &NamespacedName, operations| ("NetworkPolicy", policy.clone(), operations);
    Some(match edit {
        Edit::AddPeer { policy, direction, rule, peer } => {
            let path = format!("/spec/{direction}/{rule}/{}/-", written::peers_field(*direction));
            of_policy(policy, vec![add(path, written::peer(peer))])
        }
        Edit::AddPort { policy, direction, rule, port } => {
            of_policy(policy, vec![add(format!("/spec/{direction}/{rule}/ports/-"), written::port(port))])
        }
        Edit::AddRule { policy, direction, rule } => {
            let rule = written::rule(*direction, rule);
            // An empty list may not be there at all.
            let operation = match count(cluster, policy, *direction) {
                0 => add(format!("/spec/{direction}"), json!([rule])),
                _ => add(format!("/spec/{direction}/-"), rule),
            };
            of_policy(policy, vec![operation])
        }
        Edit::ReplaceRule { policy, direction, rule, by: Some(by) } => {
            let path = format!("/spec/{direction}/{rule}");
            let value = written::rule(*direction, by);
            of_policy(policy, vec![json!({"op": "replace", "path": path, "value": value})])
        }
        Edit::ReplaceRule { policy, direction, rule, by: None } if count(cluster, policy, *direction) > 1 => {
            of_policy(policy, vec![json!({"op": "remove", "path": format!("/spec/{direction}/{rule}")})])
        }
        Edit::ReplaceRule { policy, direction, by: None, .. } => {
            // Where no type is written, one without rules may not count.
            let types = written::policy_types(cluster.policies.get(policy)?);
            let operations = [(format!("/spec/{direction}"), json!([])), ("/spec/policyTypes".to_owned(), types)];
            of_policy(policy, operations.into_iter().map(|(path, value)| add(path, value)).collect())
        }
        Edit::InsertClusterRule { policy, direction, at, rule } => {
            let operation = add(format!("/spec/{direction}/{at}"), written::cluster_rule(*direction, rule));
            ("ClusterNetworkPolicy", NamespacedName::new("", policy.clone()), vec![operation])
        }
        Edit::NewPolicy(_) | Edit::NewClusterPolicy(_) => return None,
    })
}

fn count(cluster: &Cluster, policy: &NamespacedName, direction: Direction) -> usize {
    cluster.policies.get(policy).and_then(|policy| policy.rules(direction)).map_or(0, <[_]>::len)
}

#[cfg(test)]
mod tests;
