//! An agent that serves, on a node with a pod.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use palisade_integration::agent::binary;
use palisade_integration::netns::{Daemon, Host, Network, Place};
use palisade_integration::patience::{LIMIT, eventually};
use tempfile::TempDir;

/// Where a node's agent serves what.
pub(crate) const METRICS: u16 = 9468;
pub(crate) const PROBES: u16 = 9467;

const POLL_INTERVAL: Duration = Duration::from_millis(20);
const POD: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: web}, status: {podIPs: [{ip: 10.2.0.2}]}}
";

/// A node whose agent serves on all its addresses, and a pod behind it.
pub(crate) struct Served {
    agent: Daemon,
    pub(crate) pod: Host,
    network: Network,
    directory: TempDir,
}

impl Served {
    /// Starts the agent, and waits until it is ready.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        raise_the_limit_of_files();
        let mut network = Network::new(1).unwrap();
        let pod = network.attach_one(Place::Behind(0), &[IpAddr::from([10, 2, 0, 2])]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        fs::write(directory.path().join("manifests/shop.yaml"), POD).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let node = &network.nodes()[0];
        let agent = Daemon::start(node.namespace(), &binary().unwrap(), |command| {
            command.args(["run", "--node-name", node.name(), "--manifests"]).arg(directory.path().join("manifests"));
            command.arg("--status-socket").arg(directory.path().join("status.sock")).args(arguments);
            command.stdout(log.try_clone().unwrap()).stderr(log);
        });
        let served = Self { agent: agent.unwrap(), pod, network, directory };
        let ready = || {
            matches!(served.kubelet(on_loopback(METRICS), "/readyz"), Ok(answer) if answer.status == 200).then_some(())
        };
        eventually(POLL_INTERVAL, ready, || format!("it does not become ready:\n{}", served.log()));
        served
    }

    /// A port of the node, at the address by which pods and its kubelet know it.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        let is_ipv4 = |address: &&IpAddr| address.is_ipv4();
        SocketAddr::from((*self.network.nodes()[0].addresses().iter().find(is_ipv4).unwrap(), port))
    }

    /// Asks as the node's kubelet does: a new connection for each probe.
    pub(crate) fn kubelet(&self, address: SocketAddr, path: &str) -> std::io::Result<Answer> {
        self.network.nodes()[0].namespace().enter(|| get(address, path)).unwrap()
    }

    /// Asks from the pod.
    pub(crate) fn in_the_pod(&self, port: u16, path: &str) -> std::io::Result<Answer> {
        self.pod.namespace().enter(|| get(self.at(port), path)).unwrap()
    }

    /// A connection to the status socket that says little, and waits.
    pub(crate) fn linger(&self) -> UnixStream {
        let mut stream = UnixStream::connect(self.directory.path().join("status.sock")).unwrap();
        // It may have been refused already.
        let _ = stream.write_all(b"GET /status HTTP/1.1\r\nhost:");
        stream
    }

    /// What the status socket says.
    pub(crate) fn status(&self) -> String {
        let stream = UnixStream::connect(self.directory.path().join("status.sock")).unwrap();
        ask(stream, "/status").unwrap().body
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The resident memory now, in bytes. From now on [`Served::peak`] is counted.
    pub(crate) fn resident(&self) -> u64 {
        fs::write(self.proc("clear_refs"), "5").unwrap();
        self.memory("VmRSS:")
    }

    /// The resident memory at its most, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the agent lives");
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.agent.id()))
    }
}

/// A port of the node that no pod reaches.
pub(crate) fn on_loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// What came back, and when.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let start = Instant::now();
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let answer = ask(stream, path)?;
    Ok(Answer { took: start.elapsed(), ..answer })
}

fn ask(mut stream: impl Read + Write, path: &str) -> std::io::Result<Answer> {
    let start = Instant::now();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    let (status, body) = status.zip(body).ok_or_else(|| std::io::Error::other(format!("no answer: {text:?}")))?;
    Ok(Answer { status, body, took: start.elapsed() })
}

/// The agent inherits it: what it refuses, it must refuse by itself.
fn raise_the_limit_of_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536), hard).unwrap();
}
