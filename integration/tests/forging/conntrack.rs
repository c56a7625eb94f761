//! What the nodes' conntrack knows.

use std::net::SocketAddr;

use palisade_nft::{KernelConntrack, Mark};
use socket2::{Domain, Protocol, Socket, Type};

use crate::scene::Scene;

impl Scene {
    /// Makes the nodes forget all connections.
    pub(crate) fn forget(&self) {
        for node in self.network.nodes() {
            node.namespace().enter(forget_connections).unwrap();
        }
    }

    /// How many connections between these ports the first node knows.
    pub(crate) fn connections(&self, ends: [SocketAddr; 2]) -> usize {
        let all = || KernelConntrack::open().unwrap().list(Mark { mask: 0, value: 0 }).unwrap();
        let has = |key: &[u8], port: u16| key.windows(2).any(|window| window == port.to_be_bytes());
        let all = self.network.nodes()[0].namespace().enter(all).unwrap();
        all.iter().filter(|one| ends.iter().all(|end| has(&one.key, end.port()))).count()
    }
}

/// Asks ctnetlink to delete every entry of the calling thread's namespace: what `conntrack -F` does.
fn forget_connections() {
    const NETFILTER: i32 = 12;
    const DELETE: [u8; 2] = [2, 1];
    const REQUEST: [u8; 2] = [1, 0];
    let socket = Socket::new(Domain::from(16), Type::RAW, Some(Protocol::from(NETFILTER))).unwrap();
    let message = [&20_u32.to_ne_bytes()[..], &DELETE, &REQUEST, &[0; 8], &[0; 4]].concat();
    socket.send(&message).unwrap();
}
