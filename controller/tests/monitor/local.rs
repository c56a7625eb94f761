//! On one node.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Agent, Running, ended, record, record_with};

struct Node {
    _directory: TempDir,
    socket: PathBuf,
    agent: Agent,
}

impl Node {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("status.sock");
        let agent = Agent::at(&socket);
        Self { _directory: directory, socket, agent }
    }

    fn monitor(&self, arguments: &str) -> Command {
        let mut command = super::palisade(env!("CARGO_BIN_EXE_palisade"));
        command.arg("--status-socket").arg(&self.socket).args(arguments.split_whitespace());
        command
    }

    /// The ports of the records that are told.
    fn ports(&self, arguments: &str) -> Vec<u64> {
        let (stdout, stderr, code) = ended(self.monitor(&format!("{arguments} -o json")));
        assert_eq!((code, &*stderr), (Some(0), ""));
        let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["kind"], &lines[lines.len() - 1]["kind"]), (&json!("begin"), &json!("now")));
        lines[1..lines.len() - 1].iter().map(|line| line["port"].as_u64().unwrap()).collect()
    }
}

#[test]
fn what_was_is_told_in_lines() {
    let node = Node::new();
    node.agent.drop_packets([record(80), record(80), record(81)]);
    let (stdout, stderr, code) = ended(node.monitor("--last 20"));
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = stdout.lines().collect();
    let columns: Vec<Vec<&str>> =
        lines.iter().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect()).collect();
    let ends = "shop/web-1 -> shop/db-0";
    assert_eq!(columns.iter().filter(|line| line[3].trim() == ends).count(), lines.len(), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "no colours in a pipe");
    assert!(stderr.starts_with("note: worker-1: its agent began to look at "), "{stderr}");
    let total: u64 = columns.iter().map(|line| line[5].trim().trim_start_matches('×').parse::<u64>().unwrap()).sum();
    assert_eq!(total, 3, "{stdout}");
}

#[test]
fn filters_come_before_the_last_few() {
    let node = Node::new();
    let yesterday = json!({"time": "2020-01-01T00:00:00Z"});
    let other = json!({"pod": {"namespace": "bank", "name": "db-0", "workload": "db", "address": "10.0.1.9"}});
    node.agent.drop_packets([record_with(1, &yesterday), record(2), record(3)]);
    node.agent.drop_packets((10..15).map(|port| record_with(port, &other)));
    node.agent.drop_packets([
        record_with(20, &json!({"verdict": "wouldDrop"})),
        record_with(30, &json!({"verdict": "allowed"})),
    ]);
    assert_eq!(node.ports("--last 2 -n shop --reason policy"), [3, 20]);
    assert_eq!(node.ports("--since 10m -n shop"), [2, 3, 20]);
    assert_eq!(node.ports("--last 100 --pod bank/db-0 --port 12"), [12]);
    assert_eq!(node.ports("--last 100 --allowed"), [30]);
    assert_eq!(node.ports("--last 100 --would-drop"), [20]);
    assert_eq!(node.ports("--last 0"), [0; 0]);
}

#[test]
fn what_comes_is_told() {
    let node = Node::new();
    node.agent.drop_packets([record(79)]);
    let mut monitor = Running::of(node.monitor("-o json"));
    assert_eq!([monitor.json(), monitor.json()].map(|line| line["kind"].clone()), ["begin", "now"]);
    node.agent.drop_packets((0..10).map(|_| record(80)));
    node.agent.drop_packets([record(81)]);
    let mut sums = BTreeMap::<u64, u64>::new();
    while sums.values().sum::<u64>() < 11 {
        let line = monitor.json();
        *sums.entry(line["port"].as_u64().unwrap()).or_default() += line["packets"].as_u64().unwrap();
    }
    assert_eq!(sums, [(80, 10), (81, 1)].into(), "what was before is not told");
}

#[test]
fn what_was_and_what_comes_can_be_had_together() {
    let node = Node::new();
    node.agent.drop_packets([record(1), record(2)]);
    let mut monitor = Running::of(node.monitor("--last 1 --follow -o json"));
    assert_eq!(monitor.json()["kind"], "begin");
    assert_eq!((monitor.json()["port"].clone(), monitor.json()["kind"].clone()), (json!(2), json!("now")));
    node.agent.drop_packets([record(3)]);
    assert_eq!(monitor.json()["port"], 3);
}

#[test]
fn whoever_reads_and_leaves_ends_it() {
    let node = Node::new();
    node.agent.drop_packets([record(1)]);
    let mut monitor = Running::of(node.monitor("--last 1 -f"));
    monitor.line();
    // A first write may still succeed.
    let stops = std::thread::scope(|threads| {
        let left = threads.spawn(|| monitor.leave());
        let mut port = 2;
        while !left.is_finished() {
            node.agent.drop_packets([record(port)]);
            port = port.checked_add(1).expect("it ends before that");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        left.join().unwrap()
    });
    let (says, code) = stops;
    assert!(!says.contains("error") && !says.contains("panicked"), "{says}");
    assert_eq!(code, Some(0));
}

/// It is waited for, and says what it knows of the time between.
#[test]
fn an_agent_that_goes_away_is_waited_for() {
    let node = Node::new();
    node.agent.drop_packets([record(1)]);
    let mut monitor = Running::of(node.monitor("--last 1 -f"));
    assert!(monitor.line().contains("TCP 1"));
    assert!(monitor.note().starts_with("note: worker-1: its agent began to look at "));
    node.agent.end();
    let gone = monitor.note();
    assert_eq!(gone, "note: worker-1 is not heard: it is tried again until it is: the agent has ended");
    let again = Agent::at(&node.socket);
    let back = monitor.note();
    assert!(back.starts_with("note: worker-1 is heard again. Its agent began anew at "), "{back}");
    again.drop_packets([record(2)]);
    assert!(monitor.line().contains("TCP 2"));
}

/// As programs are told.
#[test]
fn an_agent_that_goes_away_is_a_message() {
    let node = Node::new();
    let mut monitor = Running::of(node.monitor("-o json"));
    assert_eq!([monitor.json(), monitor.json()].map(|line| line["kind"].clone()), ["begin", "now"]);
    node.agent.end();
    let gone = monitor.json();
    assert_eq!((&gone["kind"], &gone["node"]), (&json!("silent"), &json!("worker-1")));
    let _again = Agent::at(&node.socket);
    assert_eq!(monitor.json()["kind"], "begin");
}

#[test]
fn without_an_agent_it_says_what_to_do() {
    let mut command = super::palisade(env!("CARGO_BIN_EXE_palisade"));
    command.args(["--status-socket", "/nowhere/status.sock"]);
    let (stdout, stderr, code) = ended(command);
    assert_eq!((code, &*stdout), (Some(1), ""));
    assert!(stderr.contains("no agent answers at /nowhere/status.sock") && stderr.contains("--all-nodes"), "{stderr}");
}

#[test]
fn sums_are_a_table() {
    let node = Node::new();
    let outside = json!({"peer": {"address": "192.0.2.7"}, "packets": 40});
    node.agent.drop_packets([
        record(80),
        record_with(80, &outside),
        record(80),
        record_with(9, &json!({"reason": "tier"})),
    ]);
    let (stdout, stderr, code) = ended(node.monitor("--top --reason policy"));
    assert_eq!(code, Some(0), "{stderr}");
    let rows: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows.len(), rows[0][0], rows[0][1]), (3, "PACKETS", "BYTES"));
    assert_eq!((rows[1][0], rows[1][5], rows[1][6]), ("40", "shop/db", "192.0.2.0/24"));
    assert_eq!((rows[2][0], rows[2][5], rows[2][6]), ("2", "shop/db", "shop/web"));
    let (stdout, ..) = ended(node.monitor("--top -o json"));
    let kinds: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone()).collect();
    assert_eq!(kinds, ["begin", "entry", "entry", "entry"]);
}

/// What an agent here remembers is told with the reasons.
#[test]
fn explain_tells_when_it_was_dropped_last() {
    let node = Node::new();
    node.agent.drop_packets([record(80), record(80), record(81)]);
    let manifests = TempDir::new().unwrap();
    let pod = |name, ip| {
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "shop"},
               "status": {"podIPs": [{"ip": ip}]}})
    };
    let pods =
        json!({"kind": "List", "apiVersion": "v1", "items": [pod("web-1", "10.0.0.1"), pod("db-0", "10.0.1.1")]});
    std::fs::write(manifests.path().join("pods.json"), pods.to_string()).unwrap();
    let explain = |socket: &std::path::Path, arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command.args(["explain", "--from", "shop/web-1", "--to", "shop/db-0", "--manifests"]).arg(manifests.path());
        command.arg("--status-socket").arg(socket).args(arguments.split_whitespace());
        ended(command).0
    };
    let told = explain(&node.socket, "--port 80");
    assert!(told.contains("dropped on ingress, as the agent of worker-1 remembers: 2 packets, the last at "), "{told}");
    let told: Value = serde_json::from_str(&explain(&node.socket, "--port 81 -o json")).unwrap();
    assert_eq!(
        (&told["remembered"]["node"], &told["remembered"]["flows"][0]["packets"]),
        (&json!("worker-1"), &json!(1))
    );
    let told = explain(&node.socket, "--port 82");
    assert!(told.contains("the agent of worker-1 remembers no such packet that was dropped since "), "{told}");
    let told = explain(std::path::Path::new("/nowhere/status.sock"), "--port 80");
    assert!(
        told.contains("hint: it is not known whether such packets were dropped: no agent answers at /nowhere"),
        "{told}"
    );
}

/// As if it were killed in the middle.
#[test]
fn half_an_answer_is_an_error() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("status.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        let line = r#"{"kind":"begin","node":"worker-1","begun":"2026-11-28T22:50:00Z","logged":0,"suppressed":0,"lost":0,"malformed":0}"#;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}{:x}\r\n{line}\n\r\n", line.len() + 1).as_bytes()).unwrap();
    });
    let mut command = super::palisade(env!("CARGO_BIN_EXE_palisade"));
    command.args(["--last", "3", "--status-socket"]).arg(&socket);
    let (_, stderr, code) = ended(command);
    agent.join().unwrap();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("status.sock ended before it had told all"), "{stderr}");
}
