//! Node.

use ipnet::IpNet;
use palisade_model as model;

use super::{Problem, Problems, address, labels, one_or_several};
use crate::objects::Node;

/// The node's labels, and those of its addresses that are addresses: names of hosts are none.
pub fn node(node: &Node) -> model::Node {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    model::Node {
        name: node.metadata.name.as_deref().unwrap_or_default().into(),
        labels: labels(&node.metadata).collect(),
        addresses: addresses.filter_map(|one| address(one.address.as_deref()?).ok()).collect(),
    }
}

/// The networks of `spec.podCIDRs`, none where it has not been given any yet.
pub fn pod_range(node: &Node) -> (Vec<IpNet>, Vec<Problem>) {
    let mut problems = Problems::default();
    let Some(spec) = &node.spec else { return Default::default() };
    let several = spec.pod_cidrs.iter().flatten().map(String::as_str);
    let written = one_or_several("spec.podCIDR", "", several, spec.pod_cidr.as_deref());
    let networks = written.filter_map(|(at, text)| problems.keep(at, address::net(text)));
    let networks = networks.collect();
    (networks, problems.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &serde_json::Value) -> (Vec<String>, usize) {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec})).unwrap();
        let (networks, problems) = pod_range(&node);
        (networks.iter().map(ToString::to_string).collect(), problems.len())
    }

    #[test]
    fn it_may_be_one_or_many_or_not_there_yet() {
        let both = json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd01::/64"]});
        assert_eq!(of(&both), (vec!["10.1.0.0/24".to_owned(), "fd01::/64".to_owned()], 0));
        assert_eq!(of(&json!({"podCIDR": "10.1.0.0/24"})), (vec!["10.1.0.0/24".to_owned()], 0));
        assert_eq!(of(&json!({"podCIDRs": ["10.1.0.0", "fd01::/64"]})), (vec!["fd01::/64".to_owned()], 1));
        assert_eq!(of(&json!({})), (vec![], 0));
        assert_eq!(of(&json!(null)), (vec![], 0));
    }
}
