//! What takes kernel modules that not every kernel has: SCTP sockets, IPVS, flowtables. `integration/kernels.sh` runs these.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use palisade_integration::netns::{Host, Place, Topology};
use palisade_integration::patience::LIMIT;
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};

use crate::scene::{Scene, pods, subject};

/// How long what must not come is waited for.
const SILENCE: Duration = Duration::from_millis(500);
/// Where nothing else answers.
const PORT: u16 = 9000;
const SCTP: i32 = 132;

fn scene() -> Scene {
    let place = Place::Behind;
    Scene::new(
        Topology::routed(2),
        &[("client", place(0)), ("other", place(0)), ("server", place(0)), ("far", place(1))],
    )
}

fn nothing_to_the_server() -> Value {
    json!({"podSelector": subject("server"), "policyTypes": ["Ingress"]})
}

fn associating(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::from(SCTP)))?;
    socket.set_read_timeout(Some(LIMIT))?;
    Ok(socket)
}

/// An association with the server's kernel, both ends of it, if one comes about.
fn associate(scene: &Scene, from: &str, is_ipv6: bool, limit: Duration) -> Option<(Socket, Socket)> {
    let at = SocketAddr::new(scene.address("server", is_ipv6), PORT);
    let listen = || {
        let socket = associating(at)?;
        socket.set_reuse_address(true)?;
        socket.bind(&at.into())?;
        socket.listen(1)?;
        Ok::<_, io::Error>(socket)
    };
    let listening = scene.host("server").namespace().enter(listen).unwrap().expect("this kernel has SCTP sockets");
    let connect = || associating(at).and_then(|socket| socket.connect_timeout(&at.into(), limit).map(|()| socket));
    let connected = scene.host(from).namespace().enter(connect).unwrap().ok()?;
    Some((connected, listening.accept().unwrap().0))
}

/// Whether a word arrives in time.
fn says(mut from: &Socket, mut to: &Socket, limit: Duration) -> bool {
    to.set_read_timeout(Some(limit)).unwrap();
    from.write_all(b"word").is_ok() && to.read(&mut [0; 16]).is_ok_and(|length| length == 4)
}

#[test]
#[ignore = "takes a kernel with SCTP sockets: integration/kernels.sh runs it"]
fn sctp_associations_obey_policies_as_long_as_they_live() {
    let mut scene = scene();
    let ingress = |port: u16| {
        json!({"podSelector": subject("server"),
               "ingress": [{"from": [pods("client"), pods("far")], "ports": [{"protocol": "SCTP", "port": port}]}]})
    };
    scene.enforce(&[("sctp", ingress(PORT))]);
    for is_ipv6 in [false, true] {
        for from in ["client", "far"] {
            let (client, server) = associate(&scene, from, is_ipv6, LIMIT).expect("it is allowed");
            assert!(says(&client, &server, LIMIT) && says(&server, &client, LIMIT), "{from}");
        }
        assert!(associate(&scene, "other", is_ipv6, SILENCE).is_none(), "nobody allows it");
    }
    let lives = [false, true].map(|is_ipv6| associate(&scene, "client", is_ipv6, LIMIT).unwrap());
    scene.enforce(&[("sctp", ingress(PORT + 1))]);
    for (client, server) in &lives {
        assert!(!says(client, server, SILENCE) && !says(server, client, SILENCE), "it outlives what allowed it");
    }
    scene.enforce(&[("sctp", ingress(PORT))]);
    // What was said meanwhile is said again by the kernels, and arrives at last.
    for (client, server) in &lives {
        assert!(says(client, server, LIMIT) && says(server, client, LIMIT), "what is allowed again goes on");
    }
}

/// `deploy/README.md` says that what goes to a Service is not judged.
#[test]
#[ignore = "takes a kernel with IPVS: integration/kernels.sh runs it"]
fn ipvs_takes_packets_past_policies() {
    let mut scene = scene();
    let vip: IpAddr = [10, 96, 0, 7].into();
    let server = SocketAddr::new(scene.address("server", false), PORT);
    let node = scene.network().nodes()[0].namespace();
    node.ip(&format!("address add {vip}/32 dev lo\n")).unwrap();
    let service = format!("{vip}:{PORT}");
    for arguments in
        [vec!["-A", "-u", &service, "-s", "rr"], vec!["-a", "-u", &service, "-r", &server.to_string(), "-m"]]
    {
        node.run(Command::new("ipvsadm").args(arguments), "").expect("this kernel has IPVS");
    }
    let hears = |scene: &Scene, to: IpAddr| {
        let open = || UdpSocket::bind(server).unwrap();
        let socket = scene.host("server").namespace().enter(open).unwrap();
        let send = || UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"word", (to, PORT)).unwrap();
        scene.host("client").namespace().enter(send).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket.recv(&mut [0; 16]).is_ok()
    };
    assert!(hears(&scene, vip) && hears(&scene, server.ip()));
    scene.enforce(&[("nothing", nothing_to_the_server())]);
    assert!(!hears(&scene, server.ip()));
    assert!(hears(&scene, vip), "the limit is gone: say so in deploy/README.md");
}

/// `controller/docs/networks.md` says that they do not work.
#[test]
#[ignore = "takes a kernel with flowtables: integration/kernels.sh runs it"]
fn flowtables_take_established_connections_past_policies() {
    let mut scene = scene();
    let node = scene.network().nodes()[0].namespace();
    let links: Vec<String> = ["client", "server"].map(|name| link_to(&scene, scene.host(name))).into();
    node.nft(&format!(
        "table ip bypass {{
            flowtable fast {{ hook ingress priority filter; devices = {{ {} }}; }}
            chain forward {{ type filter hook forward priority filter + 10; ct state established flow add @fast; }}
        }}",
        links.join(", ")
    ))
    .expect("this kernel has flowtables");
    let talk = |scene: &Scene, port: u16| {
        let at = SocketAddr::new(scene.address("server", false), port);
        let listening = scene.host("server").namespace().enter(|| TcpListener::bind(at)).unwrap().unwrap();
        let connect = || TcpStream::connect_timeout(&at, SILENCE);
        let connected = scene.host("client").namespace().enter(connect).unwrap().ok()?;
        Some((connected, listening.accept().unwrap().0))
    };
    let connection = talk(&scene, PORT).expect("nobody forbids it");
    let exchanged = keep_exchanging(connection);
    thread::sleep(SILENCE);
    scene.enforce(&[("nothing", nothing_to_the_server())]);
    assert!(talk(&scene, PORT + 1).is_none(), "what begins is judged");
    let before = exchanged.load(Ordering::Relaxed);
    thread::sleep(SILENCE);
    let after = exchanged.load(Ordering::Relaxed);
    assert!(before > 0 && after > before, "the limit is gone: say so in controller/docs/networks.md");
}

/// How many words have been exchanged, for as long as somebody wants to know and all arrive. All the time: the flowtable gives up
/// what was idle for half a minute, which is soon over where time is that of an emulated processor, and the next packet is judged
/// again.
fn keep_exchanging((mut client, mut server): (TcpStream, TcpStream)) -> Arc<AtomicU64> {
    let exchanged = Arc::new(AtomicU64::new(0));
    let wanted = Arc::downgrade(&exchanged);
    server.set_read_timeout(Some(SILENCE)).unwrap();
    thread::spawn(move || {
        while let Some(exchanged) = wanted.upgrade()
            && client.write_all(b"word").is_ok()
            && server.read(&mut [0; 16]).is_ok()
        {
            exchanged.fetch_add(1, Ordering::Relaxed);
            drop(exchanged);
            thread::sleep(SILENCE / 25);
        }
    });
    exchanged
}

/// The node's link that a host on it is behind.
fn link_to(scene: &Scene, host: &Host) -> String {
    let address = host.addresses().iter().find(|address| address.is_ipv4()).unwrap().to_string();
    let node = scene.network().nodes()[0].namespace();
    let output = node.run(Command::new("ip").args(["-j", "route", "get", &address]), "").unwrap();
    let routes: Value = serde_json::from_slice(&output.stdout).unwrap();
    routes[0]["dev"].as_str().unwrap().to_owned()
}
