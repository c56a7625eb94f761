//! The program, called as the chart calls it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::agent::binary;
use palisade_integration::netns::{Daemon, Namespace};
use palisade_integration::patience::LIMIT;
use serde_json::json;

use super::chart::{PROBES, every_value, render};
use super::{arguments, one_file, output, the};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A directory with one pod that one policy isolates.
pub(crate) fn manifests(directory: &Path) {
    let manifests = json!({"kind": "List", "apiVersion": "v1", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
         "status": {"podIPs": [{"ip": "10.0.0.1"}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
         "metadata": {"name": "deny", "namespace": "shop"}, "spec": {"podSelector": {}}}
    ]});
    std::fs::write(directory.join("shop.json"), manifests.to_string()).unwrap();
}

/// Adds the namespace `bank` with a pod that lets in one block, or replaces the block.
pub(crate) fn open_vault_to(directory: &Path, block: &str) {
    let rule = json!({"from": [{"ipBlock": {"cidr": block}}]});
    let manifests = json!({"kind": "List", "apiVersion": "v1", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bank"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "vault", "namespace": "bank"},
         "status": {"podIPs": [{"ip": "10.0.0.2"}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
         "metadata": {"name": "vault", "namespace": "bank"}, "spec": {"podSelector": {}, "ingress": [rule]}}
    ]});
    let new = directory.join("bank.new");
    std::fs::write(&new, manifests.to_string()).unwrap();
    std::fs::rename(new, directory.join("bank.json")).unwrap();
}

/// Status and body of `GET path`, asked until it is `wanted` or the limit is over.
pub(crate) fn get(namespace: &Namespace, address: SocketAddr, path: &str, wanted: u16) -> (u16, String) {
    let started = Instant::now();
    loop {
        let answer = namespace.enter(|| get_once(address, path)).unwrap();
        match answer {
            Ok(answer) if answer.0 == wanted || started.elapsed() > LIMIT => return answer,
            Err(error) if started.elapsed() > LIMIT => panic!("GET {path} from {address}: {error}"),
            _ => sleep(POLL_INTERVAL),
        }
    }
}

fn get_once(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| std::io::Error::other(answer))
}

#[test]
fn the_charts_arguments_are_accepted() {
    let mut everything = every_value();
    everything["extraArgs"] = json!(["--node-name=other"]);
    for objects in [one_file(), render(&everything).unwrap()] {
        let arguments = arguments(the(&objects, "DaemonSet"));
        let help = output(Command::new(binary().unwrap()).args(&arguments).arg("--help"));
        assert!(
            help.as_ref()
                .is_ok_and(|help| ["--metrics-address", "--probe-address"].iter().all(|flag| help.contains(flag))),
            "{arguments:?}: {help:?}"
        );
    }
    let wrong = output(Command::new(binary().unwrap()).args(["run", "--extra=1", "--help"]));
    assert!(wrong.is_err(), "a flag that does not exist is not noticed");
}

#[test]
fn probes_and_metrics_are_where_the_chart_says() {
    let objects = one_file();
    let daemonset = the(&objects, "DaemonSet");
    let container = &daemonset["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap();
    let address = |name: &str| {
        let port = ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64().unwrap();
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()))
    };

    let directory = tempfile::tempdir().unwrap();
    manifests(directory.path());
    let namespace = Namespace::new().unwrap();
    let _agent = Daemon::start(&namespace, &binary().unwrap(), |command| {
        command.args(arguments(daemonset)).env("NODE_NAME", "node").arg("--manifests").arg(directory.path());
        command.arg("--status-socket").arg(directory.path().join("status.sock"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
    })
    .unwrap();
    for probe in PROBES {
        let asked = &container[probe]["httpGet"];
        let (port, path) = (asked["port"].as_str().unwrap(), asked["path"].as_str().unwrap());
        assert_eq!(get(&namespace, address(port), path, 200).0, 200, "{path}");
    }
    let (status, metrics) = get(&namespace, address("metrics"), "/metrics", 200);
    assert_eq!(status, 200);
    assert!(metrics.contains("\npalisade_ready 1\n") && metrics.contains("\npalisade_isolated_pods 1\n"), "{metrics}");
}
