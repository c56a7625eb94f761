//! What a packet of a new connection costs: a pod sends datagrams that its peer's policies deny, so that each of them is
//! judged as new. Then what one costs of a connection that is allowed: known, or judged with each packet, as between two
//! epochs; and of pods that no policy selects, where the pod range is guarded.

use std::io::IoSlice;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use palisade::render::Origins;
use palisade_integration::netns::Topology;

use crate::Measured;
use crate::stage::{Layout, Stage, TRACKED};
use crate::support::{
    CLIENT, Order, PORT, SERVER, address, many_cluster_policies, many_exceptions, many_peers, many_policies,
    many_ranges, pod,
};

const ROUNDS: usize = 41;
const BATCHES: usize = 40;
const BATCH: usize = 500;

pub(crate) fn measure() {
    println!(
        "ns per UDP packet, new and denied but in the last two rows (veth, routing and conntrack included), median of {ROUNDS} turns of {} packets",
        BATCHES * BATCH
    );
    println!("{:<56}{:>8}{:>8}{:>8}{:>10}", "", "left", "right", "ratio", "delivered");
    let mut open = Sender::new(&Layout::Text(TRACKED.to_owned()));
    let linear = |policies| Sender::new(&Layout::Text(linear_ruleset(policies)));
    let policies = |changes| Sender::new(&Layout::policies(changes));
    let guard = |origins| {
        let changes = many_policies(1_000).into_iter().chain([pod("client", CLIENT.into())]).collect();
        Sender::new(&Layout::Enforced { changes, origins, settled: false, guards_pod_range: false })
    };
    let known = |settled| {
        let changes = many_policies(1_000).into_iter().chain([pod("peer-0", CLIENT.into())]).collect();
        Sender::new(&Layout::Enforced { changes, origins: Origins::Guarded, settled, guards_pod_range: false })
    };
    let free = |guards_pod_range| {
        let changes = vec![pod("client", CLIENT.into()), pod("server", SERVER.into())];
        Sender::new(&Layout::Enforced { changes, origins: Origins::Guarded, settled: false, guards_pod_range })
    };
    for (what, mut left, mut right) in [
        (
            "1 -> 1,000 policies on the pod, own ports and peers",
            policies(many_policies(1)),
            policies(many_policies(1_000)),
        ),
        ("1 -> 1,000 port ranges", policies(many_ranges(1)), policies(many_ranges(1_000))),
        ("1 -> 100,000 peers", policies(many_peers(1)), policies(many_peers(100_000))),
        ("1 -> 1,000 except CIDRs", policies(many_exceptions(1)), policies(many_exceptions(1_000))),
        (
            "1 -> 1,000 cluster policies of 25 rules, two blocks",
            policies(many_cluster_policies(1, Order::Blocks)),
            policies(many_cluster_policies(1_000, Order::Blocks)),
        ),
        (
            "1 -> 10 cluster policies, each rule another verdict",
            policies(many_cluster_policies(1, Order::Alternating)),
            policies(many_cluster_policies(10, Order::Alternating)),
        ),
        ("laid out linearly: 1 -> 1,000 policies", linear(1), linear(1_000)),
        ("1,000 policies: without the guard -> with it", guard(Origins::Believed), guard(Origins::Guarded)),
        ("no policies, judged each time: without pod range -> with", free(false), free(true)),
        ("allowed by 1,000 policies: known -> judged each time", known(true), known(false)),
    ] {
        let mut sides = [&mut left, &mut right, &mut open];
        let row = Measured::of(ROUNDS, |side| sides[side].nanoseconds_per_packet());
        let [left, right, open] = row.medians();
        println!("{what:<56}{left:>8.0}{right:>8.0}{:>8.2}{open:>10.0}", row.ratio(1, 0));
    }
}

/// Sends from the client to a socket of the server.
struct Sender {
    stage: Stage,
    /// Takes what is delivered, and reads none of it.
    _receiver: UdpSocket,
}

impl Sender {
    fn new(layout: &Layout) -> Self {
        let stage = Stage::new(Topology::routed(1), layout);
        let receiver = stage.server.namespace().enter(|| UdpSocket::bind((SERVER, PORT)));
        let receiver = receiver.expect("the server can be entered").expect("the port is free");
        Self { stage, _receiver: receiver }
    }

    fn nanoseconds_per_packet(&mut self) -> f64 {
        let elapsed = self.stage.client.namespace().enter(|| send(BATCHES)).expect("the client can be entered");
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_packet = elapsed.as_nanos() as f64 / (BATCHES * BATCH) as f64;
        per_packet
    }
}

fn send(batches: usize) -> Duration {
    let socket = UdpSocket::bind((CLIENT, 0)).expect("a port is free");
    let iov = vec![[IoSlice::new(b"x")]; BATCH];
    let targets = vec![Some(SockaddrIn::from(SocketAddrV4::new(SERVER, PORT))); BATCH];
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let start = Instant::now();
    for _ in 0..batches {
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &iov, &targets, [], MsgFlags::empty());
        sent.expect("datagrams can be sent");
    }
    start.elapsed()
}

/// What others do: a chain for each policy, walked one after the other.
fn linear_ruleset(count: u16) -> String {
    let chains: String = (0..count)
        .map(|i| {
            format!(
                "set peers-{i} {{ type ipv4_addr; elements = {{ {} }}; }}\nchain policy-{i} {{ udp dport {} ip saddr @peers-{i} accept; }}\n",
                address(u32::from(i)),
                PORT - i
            )
        })
        .collect();
    let jumps: String = (0..count).rev().map(|i| format!("jump policy-{i}; ")).collect();
    format!(
        "table inet linear {{\n{chains}chain server {{ {jumps} drop; }}\nchain forward {{ type filter hook forward priority 0; \
         ct state established accept; ip daddr {SERVER} goto server; }}\n}}\n"
    )
}
