//! What a preview says that a change cuts is what stops when it is applied, and nothing else.

use std::process::{Command, Output};

use palisade_integration::agent::binary;
use palisade_integration::patience::LIMIT;
use serde_json::Value;

use super::conversation::{Conversation, Kind, Side, at};
use super::program::Program;
use super::world::World;
use super::{are_silent, go_on};

const TCP: u16 = 7001;
const UDP: u16 = 7002;

/// The server lets whoever comes in at one port.
fn change(protocol: &str, port: u16) -> String {
    format!(
        "{{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {{name: one-port, namespace: shop}}, spec: \
         {{podSelector: {{matchLabels: {{app: server}}}}, ingress: [{{ports: [{{protocol: {protocol}, port: {port}}}]}}]}}}}"
    )
}

fn preview(world: &World, program: &Program, change: &str, arguments: &[&str]) -> Output {
    let file = program.write("change.yaml", change);
    let mut palisade = Command::new(binary().unwrap());
    palisade.arg("preview").arg("--manifests").arg(program.manifests()).arg(file);
    palisade.args(["--live", "--status-socket", "/nowhere/status.sock", "-o", "json"]).args(arguments);
    world.node().namespace().enter(|| palisade.output()).unwrap().unwrap()
}

fn live(output: &Output) -> Value {
    let preview: Value = serde_json::from_slice(&output.stdout).unwrap();
    preview["live"].clone()
}

/// One in each family.
fn begin(world: &World, kind: Kind, port: u16) -> Vec<(Side, Conversation)> {
    let (client, server) = (&world.client, &world.server);
    let begin = |v6| {
        let (from, to) = (at(client, v6, 20_000 + port), at(server, v6, port));
        (Side::Server, Conversation::begin(kind, (client, from), (server, to), to))
    };
    [false, true].map(begin).into()
}

#[test]
fn what_a_preview_says_is_cut_stops_and_nothing_else() {
    let (world, program) = (World::new(), Program::new());
    world.sysctl(&[("net.netfilter.nf_conntrack_acct", "1"), ("net.netfilter.nf_conntrack_timestamp", "1")]);
    let mut agent = program.start(&world);
    let mut stream = begin(&world, Kind::Tcp, TCP);
    let mut datagrams = begin(&world, Kind::Udp, UDP);

    let output = preview(&world, &program, &change("TCP", TCP), &["--fail-on", "cut"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let live = live(&output);
    let [cut] = live["cut"].as_array().unwrap().as_slice() else { panic!("{live:#}") };
    assert_eq!(
        (&cut["from"], &cut["to"], &cut["port"], &cut["connections"]),
        (&"shop/client".into(), &"shop/server".into(), &"UDP 7002".into(), &2.into())
    );
    assert_eq!(cut["by"], serde_json::json!(["shop/one-port"]));
    // Of each family a datagram of one byte there and one back.
    assert_eq!(cut["bytes"], 2 * (20 + 8 + 1) + 2 * (40 + 8 + 1));
    assert!(cut["oldest"].is_string() && cut["why"][0].as_str().unwrap().contains("TCP 7001"), "{cut:#}");
    assert!(live["not_heard"]["this node"].as_str().unwrap().contains("no agent answers"), "{live:#}");

    program.apply(&change("TCP", TCP));
    agent.catch_up(world.node(), LIMIT).unwrap();
    are_silent(&mut datagrams);
    go_on(&mut stream);
}

#[test]
fn a_change_that_cuts_nothing_that_is_open_is_said_to_cut_nothing() {
    let (world, program) = (World::new(), Program::new());
    let _agent = program.start(&world);
    let _datagrams = begin(&world, Kind::Udp, UDP);
    let output = preview(&world, &program, &change("UDP", UDP), &[]);
    let live = live(&output);
    assert_eq!((&live["cut"], output.status.code()), (&serde_json::json!([]), Some(0)), "{live:#}");
    assert!(live["judged"].as_u64() >= Some(2), "{live:#}");
    assert_eq!(live["without_bytes"], serde_json::json!(["this node"]), "bytes are not counted, and that is said");
}
