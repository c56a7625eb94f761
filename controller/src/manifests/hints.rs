//! What is hardly meant, in a directory that can be read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Manifests;
use crate::text::some_of;

/// How many names are told.
const NAMES: usize = 5;
/// How much is told of a problem, in bytes.
const LONGEST_PROBLEM: usize = 200;
/// How much of each, in bytes: as long as names of namespaces may be.
const LONGEST_NAME: usize = 63;

/// What is hardly meant in the state that holds, shared between the source and whoever shows it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Hints(Arc<Mutex<Vec<String>>>);

impl Hints {
    /// All of them, each a sentence.
    pub fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces them; logs what was not there before.
    pub(super) fn set(&self, new: Vec<String>) {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        new.iter().filter(|hint| !hints.contains(hint)).for_each(|hint| log(hint));
        *hints = new;
    }
}

/// Logs a hint.
pub(crate) fn log(hint: &str) {
    tracing::warn!("{hint}");
}

impl Manifests {
    /// What is hardly meant: that no pod runs on `node`, though others do; that namespaces have pods or policies and no
    /// object; that rules of cluster policies are closed; that policies are enforced of which that is not understood.
    pub fn hints(&self, node: &str) -> Vec<String> {
        let of_policies = self.closed_rules().chain(self.enforced_all_the_same());
        self.no_pod_on(node).into_iter().chain(self.no_namespace()).chain(of_policies).collect()
    }

    fn closed_rules(&self) -> impl Iterator<Item = String> {
        self.closed_rules.iter().map(|(name, problems)| {
            let problems = some_of(problems, NAMES, LONGEST_PROBLEM, "; ");
            format!(
                "ClusterNetworkPolicy {name} has rules that are not understood; such a rule denies everything in its place, or \
                 nothing where it would accept: {problems}"
            )
        })
    }

    fn enforced_all_the_same(&self) -> impl Iterator<Item = String> {
        self.enforced_all_the_same.iter().map(|(policy, problem)| format!("{policy} is enforced: {problem}"))
    }

    fn no_pod_on(&self, node: &str) -> Option<String> {
        let nodes: BTreeSet<&str> = self.pods.values().filter_map(|pod| pod.node.as_deref()).collect();
        let wrong = !nodes.is_empty() && !nodes.contains(node);
        wrong.then(|| format!("no pod runs on node {node}, so none is judged here, but on {}", names(nodes)))
    }

    fn no_namespace(&self) -> Option<String> {
        let used = self.pods.keys().chain(self.policies.keys()).map(|id| &id.namespace);
        let missing: BTreeSet<&str> =
            used.filter(|name| !self.namespaces.contains_key(*name)).map(|name| &**name).collect();
        let wrong = !missing.is_empty();
        wrong.then(|| format!("no Namespace object, so no namespaceSelector matches their pods: {}", names(missing)))
    }
}

fn names(names: BTreeSet<&str>) -> String {
    some_of(&names.into_iter().collect::<Vec<_>>(), NAMES, LONGEST_NAME, ", ")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn hints(text: &str, node: &str) -> Vec<String> {
        let manifests = super::super::parse(Path::new("dir"), &[(PathBuf::from("f.yaml"), text.to_owned())], node);
        manifests.unwrap().hints(node)
    }

    fn pod(namespace: &str, node: &str) -> String {
        let name = if node.is_empty() { "here" } else { node };
        let spec = if node.is_empty() { String::new() } else { format!("nodeName: {node}") };
        format!(
            "\n---\n{{kind: Pod, apiVersion: v1, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
        )
    }

    const SHOP: &str = "{kind: Namespace, apiVersion: v1, metadata: {name: shop}}";

    #[test]
    fn a_node_that_no_pod_has() {
        let text = SHOP.to_owned() + &pod("shop", "a");
        assert_eq!(hints(&text, "a"), [""; 0]);
        assert_eq!(hints(&text, "b"), ["no pod runs on node b, so none is judged here, but on a"]);
        let here = text + &pod("shop", "");
        assert_eq!(hints(&here, "b"), [""; 0], "a pod without a node is here");
        assert_eq!(hints(SHOP, "b"), [""; 0], "there are no pods yet");
    }

    #[test]
    fn namespaces_without_an_object() {
        let policy = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: all, namespace: office}, \
            spec: {podSelector: {}}}";
        let text = format!("{SHOP}{}\n---\n{policy}", pod("bank", ""));
        let expected = "no Namespace object, so no namespaceSelector matches their pods: bank, office";
        assert_eq!(hints(&text, "a"), [expected]);
    }
}
