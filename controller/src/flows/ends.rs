//! Who is at the ends of a flow, by the names that the index knows.

use std::net::{IpAddr, SocketAddr};

use palisade_model::{Index, Labels, NamespacedName, Protocol, Traffic};

use super::record::{LocalPod, Peer, PeerPod};

/// A pod of this node that has `address`. Where it is not known any more, it is named as `text` says: `namespace/name`.
pub(super) fn local_pod(pod: Option<&NamespacedName>, text: &str, address: IpAddr, index: &Index) -> LocalPod {
    let object = pod.map(|pod| index.object(pod).unwrap_or_else(|| pod.clone()));
    let (namespace, name) = match &object {
        Some(pod) => (pod.namespace.to_string(), pod.name.to_string()),
        None => {
            text.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned())).unwrap_or_default()
        }
    };
    let workload =
        pod.and_then(|pod| index.workload(pod)).map_or_else(|| name.clone(), |workload| workload.to_string());
    let labels = pod.and_then(|pod| index.labels(pod)).into_iter().flat_map(Labels::iter);
    let labels = labels.map(|(key, value)| (key.to_string(), value.to_string())).collect();
    LocalPod { namespace, name, workload, address, labels }
}

/// The other end, and where it was called that is not its own: a Service's address and port.
pub(super) fn peer(address: IpAddr, called: Option<(IpAddr, Option<u16>)>, index: &Index) -> Peer {
    let known = index.peer(address);
    let workload = known.workload;
    let pod = known.pod.map(|pod| PeerPod {
        workload: workload.map_or_else(|| pod.name.to_string(), |workload| workload.to_string()),
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
    });
    let service = called.filter(|(called, _)| *called != address).map(|(called, port)| match port {
        Some(port) => SocketAddr::new(called, port).to_string(),
        None => called.to_string(),
    });
    Peer { address, pod, node: known.node.map(|node| node.to_string()), service, block: None }
}

/// What a connection carries, to which port of who answers.
pub(super) fn traffic(protocol: u8, port: Option<u16>) -> Traffic {
    let known = Protocol::ALL.into_iter().find(|known| known.number() == protocol);
    match (known, port) {
        (Some(protocol), Some(port)) => Traffic::Port { protocol, port },
        (None, _) | (_, None) => Traffic::Other(protocol),
    }
}
