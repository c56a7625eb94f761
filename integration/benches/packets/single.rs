//! What a packet of a new connection costs: a pod sends datagrams that its peer's policies deny, so that each of them is
//! judged as new. Then what one costs of a connection that is allowed: known, or judged with each packet, as between two
//! epochs; and of pods that no policy selects, where the pod range is guarded.

use std::net::{SocketAddrV4, UdpSocket};

use palisade::render::Origins;
use palisade_integration::netns::Topology;

use crate::stage::{Enforced, Layout, Stage, TRACKED};
use crate::support::datagrams::{nanoseconds_each, send};
use crate::support::measured::Measured;
use crate::support::{
    CLIENT, Order, PORT, SERVER, address, many_cluster_policies, many_exceptions, many_peers, many_policies,
    many_ranges, pod,
};

/// Enough on a noisy machine; where time is that of instructions, few do.
const TURNS: usize = 41;
const BATCHES: usize = 40;
const BATCH: usize = 500;

pub(crate) fn measure() {
    let linear = |policies| Sender::new(&Layout::Text(linear_ruleset(policies)));
    let policies = |changes| Sender::new(&Layout::policies(changes));
    let guard = |origins| {
        let changes = many_policies(1_000).into_iter().chain([pod("client", CLIENT.into())]).collect();
        Sender::new(&Layout::Enforced(Enforced { origins, ..Enforced::of(changes) }))
    };
    let known = |settled| {
        let changes = many_policies(1_000).into_iter().chain([pod("peer-0", CLIENT.into())]).collect();
        Sender::new(&Layout::Enforced(Enforced { settled, ..Enforced::of(changes) }))
    };
    let free = |guards_pod_range| {
        let changes = vec![pod("client", CLIENT.into()), pod("server", SERVER.into())];
        Sender::new(&Layout::Enforced(Enforced { guards_pod_range, ..Enforced::of(changes) }))
    };
    rows(
        "new and denied but in the last two rows",
        [
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
        ],
    );
}

/// Compares two senders a row, which packets that nobody judges are sent beside.
pub(crate) fn rows<const N: usize>(of: &str, rows: [(&str, Sender, Sender); N]) {
    let turns =
        std::env::var("PALISADE_TURNS").map_or(TURNS, |turns| turns.parse().expect("PALISADE_TURNS is a number"));
    println!(
        "ns per UDP packet, {of} (veth, routing and conntrack included), median of {turns} turns of {} packets",
        BATCHES * BATCH
    );
    println!("{:<64}{:>8}{:>8}{:>8}{:>10}", "", "left", "right", "ratio", "delivered");
    let mut open = Sender::new(&Layout::Text(TRACKED.to_owned()));
    for (what, mut left, mut right) in rows {
        let mut sides = [&mut left, &mut right, &mut open];
        let row = Measured::of(turns, |side| sides[side].nanoseconds_per_packet());
        let [left, right, open] = row.medians();
        println!("{what:<64}{left:>8.0}{right:>8.0}{:>8.2}{open:>10.0}", row.ratio(1, 0));
    }
}

/// Sends from the client to a socket of the server.
pub(crate) struct Sender {
    stage: Stage,
    /// Takes what is delivered, and reads none of it.
    _receiver: UdpSocket,
}

impl Sender {
    pub(crate) fn new(layout: &Layout) -> Self {
        let stage = Stage::new(Topology::routed(1), layout);
        let receiver = stage.server.namespace().enter(|| UdpSocket::bind((SERVER, PORT)));
        let receiver = receiver.expect("the server can be entered").expect("the port is free");
        Self { stage, _receiver: receiver }
    }

    fn nanoseconds_per_packet(&mut self) -> f64 {
        let targets = [SocketAddrV4::new(SERVER, PORT); BATCH];
        let elapsed = self.stage.client.namespace().enter(|| send(CLIENT, &targets, BATCHES));
        nanoseconds_each(elapsed.expect("the client can be entered"), BATCHES * BATCH)
    }
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
