//! What changes cost where there are 250,000 connections, begun by real packets: to forbid them, to allow them again, and
//! to clear all their marks.
//!
//! `cargo bench -p palisade-integration --bench established`

mod support;

use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use palisade::enforcer::Enforcer;
use palisade::epochs;
use palisade::render::Epoch;
use palisade_integration::netns::{Host, Network, Place};
use palisade_model::{Change, NamespacedName, Selector};
use palisade_nft::{Kernel, KernelConntrack, Mark, Name, Ownership};
use support::{CLIENT, NODE, SERVER, address, all_peers, forbidding, labelled, pod, remote_pod};

/// So many pods, with so many connections each.
const PODS: u16 = 100;
const CONNECTIONS: u16 = 2_500;
const ROUNDS: usize = 9;
const EVERY: Mark = Mark { mask: 0, value: 0 };

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
    println!("{:<46}{:>10}{:>10}{:>10}", "", "commit", "CPU", "CPU then");
    let everybody = || vec![forbidding("all", Selector::default())];
    let one = || vec![forbidding("one", labelled("app", "local-7"))];
    let again = |name| vec![Change::PolicyGone(NamespacedName::new("bench", name))];
    let remote = |i| vec![remote_pod("remote", address(i))];
    let gone = || vec![Change::PodGone(NamespacedName::new("bench", "remote"))];
    rows(&mut enforcer, ["a policy forbids all", "  and goes"], |_| [everybody(), again("all")]);
    rows(&mut enforcer, ["a policy forbids those of one pod", "  and goes"], |_| [one(), again("one")]);
    rows(&mut enforcer, ["a remote pod comes, which forbids nothing", "  and goes"], |i| [remote(i), gone()]);
    sweeps();
}

/// All have the mark of an epoch, as after a packet of each.
fn sweeps() {
    let mut conntrack = KernelConntrack::open().expect("conntrack can be used");
    let took = (0..ROUNDS).map(|_| {
        let all = conntrack.list(EVERY).expect("connections can be listed");
        conntrack.mark(&all, Epoch::LAST.mark()).expect("connections can be marked");
        let before = cpu();
        let sweep = epochs::sweep(&mut conntrack, None).expect("marks can be cleared");
        assert_eq!(sweep.cleared, all.len());
        (sweep.elapsed.as_secs_f64() * 1e3, (cpu() - before).as_secs_f64() * 1e3)
    });
    let (times, cpu): (Vec<f64>, Vec<f64>) = took.unzip();
    let (time, cpu) = (median(times.into_iter()), median(cpu.into_iter()));
    println!("{:<46}{time:>10.2}{cpu:>10.2}", "all marks are cleared, every 254 epochs");
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
        let [commit, cpu, then] = [of(|turn| turn.commit), of(|turn| turn.cpu), of(|turn| turn.then)];
        println!("{name:<46}{commit:>10.3}{cpu:>10.3}{then:>10.3}");
    }
}

/// What a change took: the commit, its CPU, and the CPU of the epoch that begins after it.
struct Turn {
    commit: Duration,
    cpu: Duration,
    then: Duration,
}

fn turn(enforcer: &mut Enforcer<Kernel>, changes: Vec<Change>) -> Turn {
    changes.into_iter().for_each(|change| enforcer.apply(change));
    let (start, before) = (Instant::now(), cpu());
    enforcer.commit().expect("the ruleset is committed").expect("there was something to commit");
    let (commit, committed) = (start.elapsed(), cpu());
    while let Some(due) = enforcer.settle_is_due() {
        sleep(due.saturating_duration_since(Instant::now()));
        enforcer.settle().expect("an epoch begins");
    }
    Turn { commit, cpu: committed - before, then: cpu() - committed }
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
    let mut conntrack = KernelConntrack::open().expect("conntrack can be used");
    conntrack.list(EVERY).expect("connections can be listed").len()
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
