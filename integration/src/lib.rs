//! Palisade under real packets: pods, nodes and external hosts are network namespaces of one process.
//!
//! - [`netns`] builds them, in the topologies that CNI plugins make: nodes around an underlay, pods, external hosts.
//! - [`probe`] asks who reaches whom, with packets, all flows at once.
//! - [`steady`] sends datagrams for as long as something else happens, and knows which arrived.
//! - [`traffic`] never pauses, and counts what is lost and what comes through.
//! - [`patience`] waits for what comes when it comes.
//! - [`agent`] runs `palisade` in a node's namespace.
//! - [`apiserver`] is a real Kubernetes API for agents that watch one.
//! - [`forge`] makes packets and frames that no honest stack sends.
//! - [`cases`] plays the conformance cases with the three of them.
//!
//! Everything lives in anonymous namespaces that only file descriptors hold: nothing touches the machine's own network,
//! and nothing is left behind, even when the process is killed. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN
//! (root, or `unshare --user --map-root-user --net --mount`).

pub mod agent;
pub mod apiserver;
pub mod cases;
pub mod forge;
pub mod netns;
pub mod patience;
pub mod probe;
pub mod steady;
pub mod traffic;
