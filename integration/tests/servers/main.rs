//! What the agent serves, to whoever comes: real connections to the real program.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod agent;
mod flood;

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::patience::LIMIT;

use agent::{METRICS, PROBES, Served, on_loopback};
use flood::{CONNECTIONS, Flood};

/// How much memory a flood may cost, in bytes.
const MOST: u64 = 32 << 20;
/// For how long the node is flooded after all connections have been tried.
const AWHILE: Duration = Duration::from_secs(5);
const TIMES: usize = 20;
/// Two floods at once would measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The kubelet's probes at `probes` are answered while a pod floods the port `flooded`, which costs little memory.
fn withstands(served: &Served, flooded: u16, probes: SocketAddr) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = served.resident();
    let flood = Flood::start(&served.pod, served.at(flooded));
    let started = Instant::now();
    while flood.attempts() < CONNECTIONS && started.elapsed() < LIMIT {
        sleep(Duration::from_millis(10));
    }
    let mut took = Vec::new();
    for _ in 0..TIMES {
        sleep(AWHILE / TIMES as u32);
        let answer = served.kubelet(probes, "/healthz").expect("the probe is answered");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
        took.push(answer.took);
    }
    let grown = served.peak().saturating_sub(before);
    eprintln!("{} connections, grown by {} KiB, probes took {took:?}", flood.attempts(), grown >> 10);
    drop(flood);
    assert!(grown < MOST, "it grew by {} MiB", grown >> 20);
    // The flood has most of a busy machine's processors: what it cannot do is to keep all probes out.
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
}

#[test]
fn a_flooded_metrics_port_costs_little_and_answers_probes() {
    let served = Served::new(&["--metrics-address=0.0.0.0:9468"]);
    withstands(&served, METRICS, served.at(METRICS));
    let metrics = served.kubelet(served.at(METRICS), "/metrics").unwrap().body;
    let refused = |from| {
        let series = format!(r#"palisade_connections_refused_total{{from="{from}"}} "#);
        metrics.lines().find_map(|line| line.strip_prefix(&*series)?.parse::<u64>().ok())
    };
    assert!(refused("elsewhere").is_some_and(|refused| refused > 0), "{metrics}");
    assert_eq!(refused("node"), Some(0), "the pod's are none of the node's");
}

#[test]
fn so_does_one_beside_the_port_of_probes() {
    let served = Served::new(&["--metrics-address=0.0.0.0:9468", "--probe-address=127.0.0.1:9467"]);
    withstands(&served, METRICS, on_loopback(PROBES));
}

#[test]
fn so_does_a_flooded_port_of_probes() {
    let served = Served::new(&["--metrics-address=0.0.0.0:9468", "--probe-address=0.0.0.0:9467"]);
    withstands(&served, PROBES, served.at(PROBES));
}

/// As the chart has it: no pod reaches what the kubelet asks.
#[test]
fn what_is_served_on_the_node_alone_no_pod_reaches() {
    let served = Served::new(&["--metrics-address=0.0.0.0:9468", "--probe-address=127.0.0.1:9467"]);
    let answer = served.kubelet(on_loopback(PROBES), "/healthz").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    assert!(served.in_the_pod(PROBES, "/healthz").is_err());
    assert_eq!(served.in_the_pod(METRICS, "/metrics").unwrap().status, 200, "a pod reaches its node");
}

/// Its own user alone may connect, who may have a program that hangs.
#[test]
fn a_crowded_status_socket_answers() {
    let served = Served::new(&["--metrics-address=0.0.0.0:9468"]);
    let before = served.resident();
    let crowd: Vec<_> = (0..CONNECTIONS).map(|_| served.linger()).collect();
    assert!(served.status().contains(r#""node":"node-0""#));
    let grown = served.peak().saturating_sub(before);
    assert!(grown < MOST, "it grew by {} MiB", grown >> 20);
    drop(crowd);
}
