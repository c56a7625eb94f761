//! Over a cluster: an API server that lists pods, and runs what it is told to run in them as a program beside it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use futures::SinkExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::{Agent, Running, ended, record, record_with};

/// Nodes with an agent each, and the API server.
struct Cluster {
    directory: TempDir,
    agents: BTreeMap<String, Agent>,
    /// What was run, and where.
    ran: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Cluster {
    fn of(nodes: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = |node: &str| directory.path().join(format!("agent-{node}.sock"));
        let agents = nodes.iter().map(|node| ((*node).to_owned(), Agent::named(node, &socket(node)))).collect();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let ran = Arc::default();
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        runtime.spawn(serve(listener, directory.path().to_owned(), nodes, Arc::clone(&ran)));
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "me", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
        });
        std::fs::write(directory.path().join("config"), kubeconfig.to_string()).unwrap();
        Self { directory, agents, ran, _runtime: runtime }
    }

    fn drop_at(&self, node: &str, port: u16, time: &str) {
        let time = json!({"node": node, "time": time});
        self.agents[node].drop_packets([record_with(port, &time)]);
    }

    /// As kubectl's plugin.
    fn monitor(&self, arguments: &str) -> Command {
        let plugin = self.directory.path().join("kubectl-palisade");
        if !plugin.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_palisade"), &plugin).unwrap();
        }
        let mut command = super::palisade(plugin);
        command.env("KUBECONFIG", self.directory.path().join("config")).env_remove("KUBERNETES_SERVICE_HOST");
        command.args(arguments.split_whitespace());
        command
    }

    /// As the other commands of kubectl's plugin.
    fn palisade(&self, arguments: &[&str]) -> Command {
        let plugin = self.monitor("").get_program().to_owned();
        let mut command = Command::new(plugin);
        command.env("KUBECONFIG", self.directory.path().join("config")).env_remove("KUBERNETES_SERVICE_HOST");
        command.env_remove("PALISADE_LOG").args(arguments);
        command
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.directory.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn asked(&self) -> Vec<String> {
        let mut asked: Vec<String> = self.ran.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

async fn serve(listener: TcpListener, directory: PathBuf, nodes: Vec<String>, ran: Arc<Mutex<Vec<String>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (directory, nodes, ran) = (directory.clone(), nodes.clone(), Arc::clone(&ran));
        tokio::spawn(async move {
            let mut head = [0; 8192];
            let length = stream.peek(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]);
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if target.contains("/exec?") {
                run(stream, &directory, &ran).await;
            } else {
                list(stream, &target, &nodes).await;
            }
        });
    }
}

/// Pods of agents in their own namespace; in `shop` one, `db-0` on the first node.
async fn list(mut stream: TcpStream, target: &str, nodes: &[String]) {
    let pod = |name: &str, node: &str| json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": []}, "status": {"phase": "Running"}});
    let on = |node: &&String| !target.contains("fieldSelector=") || target.contains(&format!("nodeName%3D{node}"));
    let items: Vec<Value> = if target.contains("/namespaces/shop/") {
        vec![pod("db-0", &nodes[0])]
    } else if target.contains("/namespaces/shpo/") {
        Vec::new()
    } else if target.starts_with("/api/v1/pods") {
        let mut db = pod("db-0", &nodes[0]);
        db["metadata"]["namespace"] = "shop".into();
        vec![db]
    } else {
        nodes.iter().filter(on).map(|node| pod(&format!("agent-{node}"), node)).collect()
    };
    let body = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items}).to_string();
    let mut sent = vec![0; 8192];
    let _ = stream.read(&mut sent).await.unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
    stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
}

/// What is asked for, as the protocol of the channels has it.
async fn run(stream: TcpStream, directory: &Path, ran: &Mutex<Vec<String>>) {
    let mut target = String::new();
    #[allow(clippy::result_large_err, reason = "the library wants it so")]
    let accept = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        target = request.uri().to_string();
        response.headers_mut().insert("sec-websocket-protocol", "v5.channel.k8s.io".parse().unwrap());
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, accept).await.unwrap();
    let pod = target.split('/').rev().nth(1).unwrap_or_default().to_owned();
    let pod = target.split('/').find(|part| part.starts_with("agent-")).unwrap_or(&pod).to_owned();
    ran.lock().unwrap().push(pod.clone());
    let arguments = target.split_once('?').unwrap().1.split('&').filter_map(|part| part.strip_prefix("command="));
    let arguments: Vec<String> = arguments.map(|argument| argument.replace("%2F", "/").replace('+', " ")).collect();
    assert_eq!(arguments[0], "palisade");
    let mut program = if arguments[1] == "connections" {
        // What its node's conntrack knows is in a file.
        let mut told = Command::new("cat");
        told.arg(directory.join(format!("{pod}.connections")));
        told
    } else {
        assert_eq!(arguments[1], "monitor");
        let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
        palisade.args(arguments[1..].iter().map(|argument| argument.replace("%3D", "=")));
        palisade
    };
    program.env("PALISADE_STATUS_SOCKET", directory.join(format!("{pod}.sock")));
    let mut process = Process(program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let (mut stdout, mut stderr) = (process.0.stdout.take().unwrap(), process.0.stderr.take().unwrap());
    let (written, mut writing) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut out = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut out) {
            written.send(out[..length].to_vec()).ok()?;
        }
        Some(())
    });
    while let Some(out) = writing.recv().await {
        if socket.send(Message::binary([&[1], &out[..]].concat())).await.is_err() {
            return;
        }
    }
    let mut err = Vec::new();
    stderr.read_to_end(&mut err).unwrap();
    let success = process.0.wait().unwrap().success();
    let status = json!({"status": if success { "Success" } else { "Failure" }, "message": "command terminated"});
    for (channel, text) in [(2, err), (3, status.to_string().into_bytes())] {
        // Who asked may have gone.
        let _ = socket.send(Message::binary([&[channel], &text[..]].concat())).await;
    }
    let _ = socket.close(None).await;
}

/// Ends with whoever ran it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ports(lines: &str) -> Vec<u64> {
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "record").map(|line| line["port"].as_u64().unwrap()).collect()
}

#[test]
fn what_nodes_remember_is_told_in_the_order_of_time() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    for (node, port, second) in [("a", 1, 10), ("a", 4, 13), ("b", 3, 12), ("c", 2, 11), ("c", 5, 14)] {
        cluster.drop_at(node, port, &format!("2026-11-28T22:56:{second}Z"));
    }
    let (stdout, stderr, code) = ended(cluster.monitor("--last 4 -o json"));
    assert_eq!((ports(&stdout), code), (vec![2, 3, 4, 5], Some(0)), "{stderr}");
    let (stdout, stderr, code) = ended(cluster.monitor("--last 4"));
    assert_eq!(code, Some(0), "{stderr}");
    let nodes: Vec<&str> = stdout.lines().map(|line| line.split("  ").nth(1).unwrap()).collect();
    assert_eq!(nodes, ["c", "b", "a", "c"]);
    assert_eq!(cluster.asked(), ["agent-a", "agent-b", "agent-c"]);
}

#[test]
fn those_are_asked_that_run_what_is_asked_for() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.drop_at("a", 1, "2026-11-28T22:56:10Z");
    let (stdout, stderr, code) = ended(cluster.monitor("--last 9 --workload shop/db -o json"));
    assert_eq!((ports(&stdout), code), (vec![1], Some(0)), "{stderr}");
    assert_eq!(cluster.asked(), ["agent-a"]);
    let (_, stderr, code) = ended(cluster.monitor("--last 9 --pod shop/web-1"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no agent is there that could be asked: there is no pod shop/web-1"), "{stderr}");
    for (filter, near) in [
        ("--pod shop/db-00", "there is no pod shop/db-00: did you mean shop/db-0?"),
        ("--workload shop/bd-0", "there is no workload shop/bd-0: did you mean shop/db-0?"),
        ("-n shpo", "there is no pod in namespace shpo: did you mean shop?"),
    ] {
        let (_, stderr, code) = ended(cluster.monitor(&format!("--last 9 {filter}")));
        assert_eq!(code, Some(1));
        assert!(stderr.contains(near), "{filter}: {stderr}");
    }
}

#[test]
fn a_node_that_is_not_heard_is_named() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.drop_at("a", 1, "2026-11-28T22:56:10Z");
    cluster.agents.remove("b").unwrap().end();
    let (stdout, stderr, code) = ended(cluster.monitor("--last 9"));
    assert_eq!((stdout.lines().count(), code), (1, Some(1)));
    assert!(stderr.contains("note: b is not heard: no agent answers at "), "{stderr}");
    assert!(stderr.contains("error: 1 nodes were heard, and these were not: b"), "{stderr}");
}

/// One ends and comes back, the other goes on.
#[test]
fn followers_go_on_when_a_node_goes_away() {
    let mut cluster = Cluster::of(&["a", "b"]);
    let mut monitor = Running::of(cluster.monitor("-o json"));
    let begun = [monitor.json(), monitor.json(), monitor.json()].map(|line| line["kind"].clone());
    assert_eq!(begun, ["begin", "begin", "now"]);
    cluster.agents["b"].drop_packets([record(1)]);
    assert_eq!(monitor.json()["port"], 1);
    cluster.agents.remove("b").unwrap().end();
    // The monitor that runs beside it waits for it, and says so.
    let gone = monitor.json();
    assert_eq!((&gone["kind"], &gone["node"]), (&json!("silent"), &json!("b")), "{gone}");
    cluster.agents["a"].drop_packets([record(2)]);
    assert_eq!(monitor.json()["port"], 2);
    let _back = Agent::named("b", &cluster.directory.path().join("agent-b.sock"));
    let back = monitor.json();
    assert_eq!((&back["kind"], &back["node"]), (&json!("begin"), &json!("b")));
}

#[test]
fn sums_are_of_all_nodes() {
    let cluster = Cluster::of(&["a", "b"]);
    for (node, port) in [("a", 80), ("b", 80), ("b", 81)] {
        cluster.drop_at(node, port, "2026-11-28T22:56:10Z");
    }
    let (stdout, stderr, code) = ended(cluster.monitor("--top"));
    assert_eq!(code, Some(0), "{stderr}");
    let packets: Vec<&str> = stdout.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(packets, ["PACKETS", "2", "1"]);
}

const PODS: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web-1, namespace: shop, labels: {job-name: web}}, status: {podIPs: [{ip: 10.0.0.1}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db-0, namespace: shop, labels: {job-name: db}}, status: {podIPs: [{ip: 10.0.1.1}]}}
";
const CHANGE: &str = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: db, namespace: shop},
 spec: {podSelector: {matchLabels: {job-name: db}}, ingress: [{ports: [{port: 5432}]}]}}";

/// What `palisade connections -o json` prints of connections between the two.
fn connections(count: u64, port: u16, bytes: bool) -> String {
    let counting = json!({"kind": "counting", "bytes": bytes, "ages": true});
    let mut connections = json!({"kind": "connections", "source": "10.0.0.1", "destination": "10.0.1.1", "protocol": "TCP",
        "port": port, "connections": count, "oldest": "2026-11-28T20:00:00Z"});
    if bytes {
        connections["bytes"] = json!(1000 * count);
    }
    format!("{counting}\n{connections}\n")
}

#[test]
fn a_preview_asks_all_agents_what_is_connected_and_what_they_recorded() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    cluster.file("manifests/pods.yaml", PODS);
    let (change, manifests) = (cluster.file("change.yaml", CHANGE), cluster.directory.path().join("manifests"));
    cluster.file("agent-a.connections", &connections(3, 80, false));
    cluster.file("agent-b.connections", &connections(4, 80, true));
    let allowed =
        |port: u16| record_with(port, &json!({"node": "a", "verdict": "allowed", "reason": "open", "connections": 7}));
    cluster.agents["a"].drop_packets([allowed(81), allowed(5432), record_with(82, &json!({"node": "a"}))]);
    let arguments =
        ["preview", &change, "--manifests", manifests.to_str().unwrap(), "--live", "--fail-on", "cut", "-o", "json"];
    let output = cluster.palisade(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let preview: Value = serde_json::from_slice(&output.stdout).unwrap();
    let live = &preview["live"];
    let why = |port: u16| json!([format!("ingress: shop/db spec.ingress[0] admits TCP 5432; this was TCP {port}")]);
    let cut = json!([{"from": "shop/web", "to": "shop/db", "port": "TCP 80", "connections": 4, "bytes": 4000,
        "oldest": "2026-11-28T20:00:00Z", "by": ["shop/db"], "why": why(80)}]);
    assert_eq!(live["cut"], cut, "what both ends' nodes know of counts once");
    let [refused] = live["refused"].as_array().unwrap().as_slice() else { panic!("{live:#}") };
    assert_eq!((&refused["port"], &refused["connections"], &refused["why"]), (&json!("TCP 81"), &json!(7), &why(81)));
    assert_eq!(live["nodes_asked"], 3);
    assert!(live["not_heard"]["c"].as_str().unwrap().contains("agent-c.connections"), "{live:#}");
    assert_eq!((&live["without_bytes"], &live["without_ages"]), (&json!(["a"]), &json!([])));
    assert_eq!(cluster.asked(), ["agent-a", "agent-b", "agent-c"]);
}

#[test]
fn a_map_asks_agents_which_ways_are_used() {
    let cluster = Cluster::of(&["a"]);
    cluster.file("manifests/all.yaml", &format!("{PODS}---\n{CHANGE}"));
    cluster.file("agent-a.connections", &connections(2, 5432, true));
    let manifests = cluster.directory.path().join("manifests");
    let arguments = ["map", "--manifests", manifests.to_str().unwrap(), "--live", "-o", "json"];
    let output = cluster.palisade(&arguments).output().unwrap();
    let map: Value = serde_json::from_slice(&output.stdout).unwrap();
    let uses: Vec<&Value> = map["edges"].as_array().unwrap().iter().map(|edge| &edge["used"]).collect();
    let others = map["usage"]["others"].as_array().unwrap();
    assert!(uses.iter().all(|used| used["connections"] == 0), "what anybody may is no way of its own: {map:#}");
    assert_eq!((&others[0]["port"], &others[0]["connections"]), (&json!("TCP 5432"), &json!(2)));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("note: a: nothing was recorded: the agent runs without --flows")
    );
}

/// What is connected now counts as what was recorded does; a node that was not heard is told of.
#[test]
fn policies_are_recommended_of_what_agents_know() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.file("manifests/pods.yaml", PODS);
    cluster.file("agent-a.connections", &connections(2, 5432, true));
    let allowed = record_with(81, &json!({"node": "a", "verdict": "allowed", "reason": "open", "connections": 7}));
    cluster.agents["a"].drop_packets([allowed]);
    let manifests = cluster.directory.path().join("manifests");
    let arguments = ["recommend", "-n", "shop", "--manifests", manifests.to_str().unwrap(), "--live", "-o", "json"];
    let output = cluster.palisade(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let policies = said["policies"].as_array().unwrap();
    let of_db =
        policies.iter().find(|policy| policy["spec"]["ingress"].is_array()).unwrap_or_else(|| panic!("{said:#}"));
    let ports: Vec<&Value> =
        of_db["spec"]["ingress"][0]["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
    assert_eq!(ports, [&json!(81), &json!(5432)], "{said:#}");
    assert!(
        said["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().starts_with("b was not heard")),
        "{said:#}"
    );
}
