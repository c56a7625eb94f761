//! What it costs to cut connections where there are 250,000 of them, begun by real packets.
//!
//! `cargo bench -p palisade-integration --bench cuts`

mod support;

use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use palisade::enforcer::Enforcer;
use palisade_integration::netns::{Host, Network, Place};
use palisade_model::{Change, NamespacedName, Selector};
use palisade_nft::{Conntrack, Kernel, KernelConntrack, Name, Ownership, Selection};
use support::{CLIENT, NODE, SERVER, address, all_peers, forbidding, labelled, pod};

/// So many pods, with so many connections each.
const PODS: u16 = 100;
const CONNECTIONS: u16 = 2_500;
const ROUNDS: usize = 5;

fn main() {
    let mut network = Network::new(1).expect("network namespaces can be made");
    let client = network.attach_one(Place::Behind(0), &[CLIENT.into()]).expect("a client");
    let pods = network.attach_one(Place::Behind(0), &[SERVER.into()]).expect("a namespace for the pods");
    let node = network.nodes()[0].namespace();
    node.ip(&format!("route add 10.2.0.0/24 via {SERVER} dev pod1 onlink\n")).expect("a route");
    network.nodes()[0].namespace().enter(|| measure(&client, &pods)).expect("the node's namespace can be entered");
}

fn measure(client: &Host, pods: &Host) {
    let mut enforcer = enforcer();
    let local = (0..PODS).map(|i| pod(&format!("local-{i}"), local(i).into()));
    turn(&mut enforcer, local.chain([pod("server", SERVER.into()), all_peers()]).collect());
    begin(client, pods);
    assert_eq!(count(), usize::from(PODS) * usize::from(CONNECTIONS));
    println!("{} connections; median of {ROUNDS} turns, in ms", count());
    println!("{:<46}{:>9}{:>9}{:>9}{:>9}{:>9}", "", "commit", "cut", "CPU", "judged", "marked");
    let everybody = || vec![forbidding("all", Selector::default())];
    let one = || vec![forbidding("one", labelled("app", "local-7"))];
    let again = |name| vec![Change::PolicyGone(NamespacedName::new("bench", name))];
    let remote = |i| vec![pod("remote", address(i))];
    let gone = || vec![Change::PodGone(NamespacedName::new("bench", "remote"))];
    rows(&mut enforcer, ["a policy forbids all", "  and goes"], |_| [everybody(), again("all")]);
    rows(&mut enforcer, ["a policy forbids those of one pod", "  and goes"], |_| [one(), again("one")]);
    rows(&mut enforcer, ["a remote pod comes, which forbids nothing", "  and goes"], |i| [remote(i), gone()]);
}

/// One pair of changes, measured again and again.
fn rows(enforcer: &mut Enforcer<Kernel>, names: [&str; 2], changes: impl Fn(u32) -> [Vec<Change>; 2]) {
    let mut turns = [Vec::new(), Vec::new()];
    for (_, i) in (0..ROUNDS).zip(0..) {
        for (turns, changes) in turns.iter_mut().zip(changes(i)) {
            turns.push(turn(enforcer, changes));
        }
    }
    for (name, turns) in names.iter().zip(turns) {
        let of = |what: fn(&Turn) -> Duration| median(turns.iter().map(|turn| what(turn).as_secs_f64() * 1e3));
        let [commit, cut, cpu] = [of(|turn| turn.commit), of(|turn| turn.cut), of(|turn| turn.cpu)];
        let Turn { judged, marked, .. } = turns[0];
        println!("{name:<46}{commit:>9.2}{cut:>9.2}{cpu:>9.2}{judged:>9}{marked:>9}");
    }
}

/// What a change took, from the objects to the last mark.
struct Turn {
    commit: Duration,
    cut: Duration,
    cpu: Duration,
    judged: usize,
    marked: usize,
}

fn turn(enforcer: &mut Enforcer<Kernel>, changes: Vec<Change>) -> Turn {
    changes.into_iter().for_each(|change| enforcer.apply(change));
    let (start, cpu_before) = (Instant::now(), cpu());
    enforcer.commit().expect("the ruleset is committed").expect("there was something to commit");
    let commit = start.elapsed();
    // The rest after the turn before is no part of this one.
    let due = enforcer.cut_is_due();
    due.into_iter().for_each(|due| sleep(due.saturating_duration_since(Instant::now())));
    let start = Instant::now();
    let cuts = enforcer.cut().expect("connections are cut").unwrap_or_default();
    let (cut, cpu) = (start.elapsed(), cpu() - cpu_before);
    Turn { commit, cut, cpu, judged: cuts.judged, marked: cuts.cut + cuts.restored }
}

fn enforcer() -> Enforcer<Kernel> {
    let table = Name::new("palisade").expect("a name");
    let kernel = Kernel::open(table.clone(), Ownership::Plain).expect("nftables can be used");
    let conntrack = KernelConntrack::open().expect("conntrack can be used");
    Enforcer::new(NODE, table, kernel).with_connections_of(conntrack)
}

/// All pods' addresses lead into one namespace, to which the client sends one datagram a connection.
fn begin(client: &Host, pods: &Host) {
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "3600").expect("a sysctl");
    pods.namespace().ip("route add local 10.2.0.0/24 dev lo\n").expect("a route");
    let socket = client.namespace().enter(|| UdpSocket::bind((CLIENT, 1_000))).expect("entered").expect("a socket");
    for i in 0..PODS {
        for port in 1..=CONNECTIONS {
            // Nobody listens there, which the socket tells now and then.
            while socket.send_to(&[0], (local(i), port)).is_err() {}
        }
    }
}

fn count() -> usize {
    let mut count = 0;
    let mut conntrack = KernelConntrack::open().expect("conntrack can be used");
    conntrack.list(Selection::All, &mut |_| count += 1).expect("connections can be listed");
    count
}

fn local(i: u16) -> Ipv4Addr {
    let [high, low] = i.to_be_bytes();
    Ipv4Addr::new(10, 2, high, low)
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage");
    let time = usage.user_time() + usage.system_time();
    Duration::from_micros(time.num_microseconds().try_into().expect("time that has passed"))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
