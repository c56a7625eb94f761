use std::net::IpAddr;
use std::sync::Arc;

use crate::Pod;

/// The network of a pod on this node, as the network plugin set it up: a fact of the node's own, which no object of the
/// API can change.
///
/// From the moment it is known until it is gone its addresses are that pod's, whatever the API says of that pod or of
/// others. A pod has the addresses of its sandboxes; those that the API shows count only for a pod without any, and not
/// where a sandbox of that pod's that is gone had them. Where the pod is gone from the API, or another one has its name,
/// the sandbox is judged as the pod was, and is nobody's peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// What the runtime calls it: no other sandbox of the node has that.
    pub id: Arc<str>,
    /// The pod, as far as it is known; its own addresses do not count.
    pub pod: Pod,
    /// The addresses that it was given: no two sandboxes have one in common, so that what is given to one is taken from
    /// others.
    pub addresses: Vec<IpAddr>,
}

impl Sandbox {
    /// Takes over what is known of its pod now, but for a uid that is known no more.
    pub fn see(&mut self, pod: &Pod) {
        let uid = pod.uid.clone().or_else(|| self.pod.uid.take());
        self.pod = Pod { uid, ..pod.clone() };
    }

    /// Whether `pod` is the one that it was made for: the uids are the same, where both are known.
    pub fn is_of(&self, pod: &Pod) -> bool {
        let of_one = |(one, other): (&Arc<str>, &Arc<str>)| one == other;
        self.pod.id == pod.id && self.pod.uid.as_ref().zip(pod.uid.as_ref()).is_none_or(of_one)
    }
}
