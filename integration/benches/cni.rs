//! How much longer does a pod take to start with the CNI plugin? Opt-in:
//!
//! ```text
//! cargo build --release -p palisade
//! PALISADE_CNI=$(deploy/build-plugin.sh) cargo bench -p palisade-integration --bench cni
//! ```
//!
//! One agent, pods with interfaces of their own that have just been made, in a namespace that lets its pods reach each other
//! and nobody else; the plugin is called as a container runtime calls it, for one pod at a time and for 20 at once, while nothing
//! else happens and while somebody else edits a policy 20 times a second. What it takes is what it adds. In brackets: the same
//! program, asked for its version.

#![allow(clippy::unwrap_used, reason = "a benchmark that does not work ends")]

#[path = "../tests/cni/runtime.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod runtime;
#[path = "../tests/cni/scene.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod scene;

use std::fs;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use palisade_integration::netns::{Host, Place, Topology};
use runtime::Call;
use scene::Scene;
use serde_json::json;

const ROUNDS: u8 = 200;
const AT_ONCE: u8 = 20;
/// Hosts of the scene itself have the first numbers and links.
const FIRST: u8 = 10;
const FIRST_LINK: usize = 3;
/// Between rounds.
const PAUSE: Duration = Duration::from_millis(50);
const BETWEEN_EDITS: Duration = Duration::from_millis(50);

fn main() {
    println!(
        "{:>8} {:>8} {:>8} {:>9}  {:>16} {:>8} {:>8} {:>8}",
        "pods are", "at once", "edits", "addresses", "ms: median", "p90", "p99", "longest"
    );
    for (name, topology) in [("routed", Topology::routed(1)), ("bridged", Topology::routed(1).on_bridges())] {
        let new = [false, true].map(|edits| (edits, Addresses::New));
        let measured = new.into_iter().chain([(false, Addresses::Again)]);
        let measured = [1, AT_ONCE].into_iter().flat_map(|at_once| measured.clone().map(move |what| (at_once, what)));
        for (at_once, (edits, addresses)) in measured {
            let Figures { mut added, mut bare } = measure(topology, at_once, edits, addresses);
            let median = format!("{} ({})", percentile(&mut added, 50), percentile(&mut bare, 50));
            let [p90, p99, longest] = [90, 99, 100].map(|percent| percentile(&mut added, percent));
            let edits = if edits { "20/s" } else { "none" };
            let addresses = if addresses == Addresses::New { "new" } else { "again" };
            println!("{name:>8} {at_once:>8} {edits:>8} {addresses:>9}  {median:>16} {p90:>8} {p99:>8} {longest:>8}");
        }
    }
}

/// Whether somebody had them a moment ago.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    New,
    Again,
}

/// How long the plugin took to add pods, and to do nothing.
#[derive(Default)]
struct Figures {
    added: Vec<Duration>,
    bare: Vec<Duration>,
}

fn measure(topology: Topology, at_once: u8, edits: bool, addresses: Addresses) -> Figures {
    let mut scene = Scene::enforcing(topology);
    let names: Vec<String> = (0..at_once).map(|number| format!("web-{number}")).collect();
    let others: [IpAddr; 1] = [[10, 1, 0, 250].into()];
    let friend = scene.friend.addresses().to_vec();
    let pods = names.iter().map(|name| (name.as_str(), &[][..]));
    scene.tell(&pods.chain([("friend", &*friend), ("bank/vault", &others)]).collect::<Vec<_>>());
    scene.write("bank.json", &policy(0));
    scene.judges(&["bank/vault", "shop/friend"]);
    let [new, file] = ["edited", "manifests/bank.json"].map(|name| scene.path(name));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let edit = || {
            for number in 1.. {
                if stop.load(Relaxed) {
                    return;
                }
                fs::write(&new, policy(number)).unwrap();
                fs::rename(&new, &file).unwrap();
                thread::sleep(BETWEEN_EDITS);
            }
        };
        let editing = edits.then(|| scope.spawn(edit));
        let figures = rounds(&mut scene, &names, addresses);
        stop.store(true, Relaxed);
        editing.into_iter().for_each(|editing| editing.join().unwrap());
        figures
    })
}

/// Who may reach the vault, and at which port, differs with each number.
fn policy(number: u16) -> String {
    let ports: Vec<_> = (0..20).map(|port| json!({"port": 1000 + number % 1000 + 50 * port})).collect();
    let from = json!([{"namespaceSelector": {"matchLabels": {"number": number.to_string()}}}]);
    let spec = json!({"podSelector": {}, "ingress": [{"from": from, "ports": ports}]});
    let metadata = json!({"namespace": "bank", "name": "vault"});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec})
        .to_string()
}

fn rounds(scene: &mut Scene, names: &[String], addresses: Addresses) -> Figures {
    let mut figures = Figures::default();
    for round in 0..usize::from(ROUNDS) / names.len() {
        let first_link = FIRST_LINK + round * names.len();
        let before = if addresses == Addresses::New { round * names.len() } else { 0 };
        let hosts: Vec<_> = (FIRST + u8::try_from(before).unwrap()..)
            .zip(names)
            .map(|(number, _)| scene.network.attach_one(Place::Behind(0), &Place::Behind(0).addresses(number)).unwrap())
            .collect();
        let call = |(number, (host, pod)): (usize, (&Host, &String))| {
            let netns = host.namespace().path().to_str().unwrap().to_owned();
            let call = Call { container: format!("c{number}-{round}"), pod: pod.clone(), netns, ..scene.call("ADD") };
            call.with_result(host.addresses(), &format!("pod{}", first_link + number))
        };
        let calls: Vec<Call> = hosts.iter().zip(names).enumerate().map(call).collect();
        let as_command = |command| calls.iter().map(move |call| Call { command, ..call.clone() }).collect::<Vec<_>>();
        figures.added.extend(together(&calls));
        figures.bare.extend(together(&as_command("VERSION")));
        together(&as_command("DEL"));
        hosts.into_iter().for_each(|host| host.detach().unwrap());
        thread::sleep(PAUSE);
    }
    figures
}

/// How long each took, of calls that begin together.
fn together(calls: &[Call]) -> Vec<Duration> {
    thread::scope(|scope| {
        let running: Vec<_> = calls.iter().map(|call| scope.spawn(|| call.run().succeeds().took)).collect();
        running.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

fn percentile(times: &mut [Duration], percent: usize) -> String {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    format!("{:.1}", times[at].as_secs_f64() * 1e3)
}
