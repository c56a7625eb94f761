//! What a packet of a new connection costs: a pod sends datagrams that its peer's policies deny, so that each of them is
//! judged as new. Then what one costs of a connection that is allowed: known, or judged with each packet, as between two
//! epochs. Each row compares two sides in one run, turn by turn, because machines are noisy.
//!
//! `cargo bench -p palisade-integration --bench packets`

mod support;

use std::io::IoSlice;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use palisade::enforcer::Enforcer;
use palisade_integration::netns::{Host, Network, Place};
use palisade_model::Change;
use palisade_nft::{Kernel, Name, Ownership};
use support::{CLIENT, NODE, PORT, SERVER, address, many_exceptions, many_peers, many_policies, many_ranges, pod};

const ROUNDS: usize = 41;
const BATCHES: usize = 40;
const BATCH: usize = 500;

fn main() {
    let mut open = Stage::new(&Layout::Text(TRACKED.to_owned()));
    let linear = |policies| Stage::new(&Layout::Text(linear_ruleset(policies)));
    let policies = |changes| Stage::new(&Layout::Policies(changes));
    println!(
        "ns per UDP packet, new and denied but in the last row (veth, routing and conntrack included), median of {ROUNDS} turns of {} packets",
        BATCHES * BATCH
    );
    println!("{:<52}{:>8}{:>8}{:>8}{:>10}", "", "small", "large", "ratio", "delivered");
    let known = |settled| {
        let allowed = many_policies(1_000).into_iter().chain([pod("peer-0", CLIENT.into())]);
        Stage::new(&Layout::Connections { changes: allowed.collect(), settled })
    };
    for (what, mut small, mut large) in [
        (
            "1 -> 1,000 policies on the pod, own ports and peers",
            policies(many_policies(1)),
            policies(many_policies(1_000)),
        ),
        ("1 -> 1,000 port ranges", policies(many_ranges(1)), policies(many_ranges(1_000))),
        ("1 -> 100,000 peers", policies(many_peers(1)), policies(many_peers(100_000))),
        ("1 -> 1,000 except CIDRs", policies(many_exceptions(1)), policies(many_exceptions(1_000))),
        ("laid out linearly: 1 -> 1,000 policies", linear(1), linear(1_000)),
        ("allowed by 1,000 policies: known -> judged each time", known(true), known(false)),
    ] {
        let row = compare([&mut small, &mut large, &mut open]);
        let [small, large, open] = row.medians();
        println!("{what:<52}{small:>8.0}{large:>8.0}{:>8.2}{open:>10.0}", row.ratio(1, 0));
    }
}

/// Nanoseconds a packet, of each contender in each round.
struct Measured<const N: usize>(Vec<[f64; N]>);

impl<const N: usize> Measured<N> {
    fn medians(&self) -> [f64; N] {
        std::array::from_fn(|i| median(self.0.iter().map(|round| round[i]).collect()))
    }

    /// The median of the ratios of neighbours in time.
    fn ratio(&self, of: usize, to: usize) -> f64 {
        median(self.0.iter().map(|round| round[of] / round[to]).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare<const N: usize>(mut stages: [&mut Stage; N]) -> Measured<N> {
    Measured((0..ROUNDS).map(|_| std::array::from_fn(|i| stages[i].nanoseconds_per_packet())).collect())
}

enum Layout {
    Policies(Vec<Change>),
    /// The same; `settled`: in an epoch.
    Connections {
        changes: Vec<Change>,
        settled: bool,
    },
    Text(String),
}

/// A client pod and a server pod behind one node.
struct Stage {
    _network: Network,
    client: Host,
    _server: Host,
    /// Takes what is delivered, and reads none of it.
    _receiver: UdpSocket,
}

impl Stage {
    fn new(layout: &Layout) -> Self {
        let mut network = Network::new(1).expect("network namespaces can be made");
        let addresses = [CLIENT, SERVER].map(|address| vec![address.into()]);
        let [client, server] =
            addresses.map(|addresses| network.attach_one(Place::Behind(0), &addresses).expect("a pod can be attached"));
        let node = network.nodes()[0].namespace();
        match layout {
            Layout::Text(text) => node.nft(text).expect("the ruleset loads"),
            Layout::Policies(changes) => node.enter(|| enforce(changes, false)).expect("the node can be entered"),
            Layout::Connections { changes, settled } => {
                node.enter(|| enforce(changes, *settled)).expect("the node can be entered");
            }
        }
        let receiver = server.namespace().enter(|| UdpSocket::bind((SERVER, PORT)));
        let receiver = receiver.expect("the server can be entered").expect("the port is free");
        Self { _network: network, client, _server: server, _receiver: receiver }
    }

    fn nanoseconds_per_packet(&mut self) -> f64 {
        let elapsed = self.client.namespace().enter(|| send(BATCHES)).expect("the client can be entered");
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

fn enforce(changes: &[Change], settled: bool) {
    let table = Name::new("palisade").expect("a name");
    let kernel = Kernel::open(table.clone(), Ownership::Plain).expect("nftables can be used");
    let mut enforcer = Enforcer::new(NODE, table, kernel);
    changes.iter().cloned().for_each(|change| enforcer.apply(change));
    enforcer.commit().expect("the ruleset is committed").expect("there was something to commit");
    if settled {
        enforcer.settle().expect("an epoch begins").expect("nothing has to be waited for");
    }
}

/// What is delivered without policies: connections are tracked, by one rule.
const TRACKED: &str =
    "table inet tracked { chain forward { type filter hook forward priority 0; ct state established accept; }; }";

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
