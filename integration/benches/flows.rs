//! What does it cost to tell of connections, with 10,000 new ones a second? Opt-in:
//!
//! ```text
//! cargo build --release -p palisade
//! cargo bench -p palisade-integration --bench flows
//! ```
//!
//! A pod sends a datagram from a new port 10,000 times a second to another pod of its node, which a policy allows; conntrack
//! forgets them after three seconds, so that as many end. Two real agents, without `--flows` and with it, turn by turn. Sending is
//! what a connection costs the node: its packet passes all rules, and its event is written, on the sender's time.

#![allow(clippy::unwrap_used, reason = "a benchmark that does not work ends")]
#![allow(clippy::cast_precision_loss, reason = "far below 2^52")]

#[path = "../tests/drops/scene.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod scene;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use palisade_nft::{Kernel, Name, Ownership};
use scene::Scene;
use serde_json::Value;

const ROUNDS: u16 = 5;
const TURN: Duration = Duration::from_secs(5);
const A_SECOND: u32 = 10_000;
/// As many are sent at once.
const BATCH: u32 = 10;
const FIRST_PORT: u16 = 2_000;
/// A tick of the kernel's accounts, in ms.
const TICK: f64 = 10.0;

const DB: &str = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: db, namespace: shop}, spec: \
                  {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}}";

/// What a turn took.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// Connections a second.
    rate: f64,
    /// Of the sender's time for each, in µs.
    sending: f64,
    /// Of a core, in percent.
    agent: f64,
    lost: u64,
}

fn main() {
    println!("{A_SECOND} new connections a second, median of {ROUNDS} turns of {TURN:?}; told: beginnings and ends");
    println!("{:<14}{:>9}{:>10}{:>12}{:>12}{:>8}", "", "--flows", "a second", "µs sending", "agent, %", "lost");
    for (what, flows) in [("1 flow", 1), ("1,500 flows", 1_500), ("5,000 flows", 5_000)] {
        let sides = [Side::new(&[]), Side::new(&["--flows"])];
        let mut turns = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for (side, turns) in sides.iter().zip(&mut turns) {
                turns.push(side.turn(flows, FIRST_PORT + round * flows));
            }
        }
        let [off, on] = turns.map(|turns| median(&turns));
        for (name, turn) in [("off", off), ("on", on)] {
            let Turn { rate, sending, agent, lost } = turn;
            println!("{what:<14}{name:>9}{rate:>10.0}{sending:>12.2}{agent:>12.2}{lost:>8}");
        }
        println!(
            "{:<14}{:>9}{:>10.3}{:>12.3}  {}",
            "",
            "ratio",
            on.rate / off.rate,
            on.sending / off.sending,
            sides[1].says()
        );
    }
}

struct Side {
    scene: Scene,
}

impl Side {
    fn new(arguments: &[&str]) -> Self {
        let scene = Scene::with(DB, arguments);
        let timeout = || fs::write("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "3").unwrap();
        scene.node().namespace().enter(timeout).unwrap();
        let count = "table inet count { chain arriving { type filter hook prerouting priority -400; meta l4proto udp counter drop; }; }";
        scene.db.namespace().nft(count).unwrap();
        Self { scene }
    }

    /// To so many ports, from `first` on: each is a flow.
    fn turn(&self, flows: u16, first: u16) -> Turn {
        let (cpu, arrived, start) = (self.agent_time(), self.arrived(), Instant::now());
        let (sent, sending) = self.scene.web.namespace().enter(|| self.send(flows, first)).unwrap();
        let rate = f64::from(sent) / start.elapsed().as_secs_f64();
        // What it has not done by then, it does for the next turn, and vice versa.
        sleep(Duration::from_secs(2));
        let agent = (self.agent_time() - cpu) / 10.0 / TURN.as_secs_f64();
        let lost = u64::from(sent) - (self.arrived() - arrived);
        Turn { rate, sending: sending.as_secs_f64() * 1e6 / f64::from(sent), agent, lost }
    }

    /// How many, and how much of the thread's time it took.
    fn send(&self, flows: u16, first: u16) -> (u32, Duration) {
        let [from, to] = [&self.scene.web, &self.scene.db].map(|host| host.addresses()[0]);
        let mut ends = (1_024..=u16::MAX).flat_map(|port| (0..flows).map(move |flow| (port, first + flow)));
        if flows == 1 {
            ends.by_ref().take(usize::from(first)).for_each(drop);
        }
        let (before, start) = (thread_time(), Instant::now());
        let mut sent = 0;
        while start.elapsed() < TURN {
            let due = start + Duration::from_secs(1) * sent / A_SECOND;
            sleep(due.saturating_duration_since(Instant::now()));
            for _ in 0..BATCH {
                let socket = ends.by_ref().find_map(|(port, to)| Some((UdpSocket::bind((from, port)).ok()?, to)));
                let (socket, port) = socket.unwrap();
                socket.send_to(b"hello", SocketAddr::new(to, port)).unwrap();
                sent += 1;
            }
        }
        (sent, thread_time().saturating_sub(before))
    }

    /// In ms.
    fn agent_time(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.scene.agent.as_ref().unwrap().id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() * TICK).sum()
    }

    fn arrived(&self) -> u64 {
        let read = || Kernel::open(Name::new("count").unwrap(), Ownership::Plain).unwrap().counters().unwrap();
        self.scene.db.namespace().enter(read).unwrap().values().map(|counter| counter.packets).sum()
    }

    /// What became of what was to be told.
    fn says(&self) -> String {
        let messages = self.scene.messages(&["--allowed", "--last", "0"]);
        let Value::Object(figures) = &messages[0]["allowed"] else { return String::new() };
        figures.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }
}

fn thread_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}

fn median(turns: &[Turn]) -> Turn {
    let of = |value: fn(&Turn) -> f64| {
        let mut values: Vec<f64> = turns.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let lost = turns.iter().map(|turn| turn.lost).sum();
    Turn { rate: of(|turn| turn.rate), sending: of(|turn| turn.sending), agent: of(|turn| turn.agent), lost }
}
