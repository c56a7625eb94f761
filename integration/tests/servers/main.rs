//! What the agent serves, to whoever comes: real connections to the real program.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod agent;
mod flood;

use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::patience::LIMIT;

use agent::{METRICS, PROBES, Served};
use flood::{CONNECTIONS, Flood};

/// How much memory a flood may cost, in bytes.
const MOST: u64 = 32 << 20;
/// For how long the node is flooded after all connections have been tried.
const AWHILE: Duration = Duration::from_secs(5);
const TIMES: usize = 20;

/// The kubelet's probes at the port `probes` are answered while a pod floods the port `flooded`, which costs little memory.
fn withstands(served: &Served, flooded: u16, probes: u16) {
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
    took.sort_unstable();
    assert!(took[TIMES / 2] < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_flooded_metrics_port_costs_little_and_answers_probes() {
    withstands(&Served::new(&["--metrics-address=0.0.0.0:9468"]), METRICS, METRICS);
}

#[test]
fn so_does_a_flooded_port_of_probes() {
    withstands(&Served::new(&["--metrics-address=0.0.0.0:9468", "--probe-address=0.0.0.0:9467"]), PROBES, PROBES);
}

/// As the chart has it: no pod reaches what the kubelet asks.
#[test]
fn what_is_served_on_the_node_alone_no_pod_reaches() {
    let served = Served::new(&["--metrics-address=0.0.0.0:9468", "--probe-address=127.0.0.1:9467"]);
    let answer = served.on_the_node(PROBES, "/healthz").unwrap();
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
