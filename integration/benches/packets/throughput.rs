//! What gets through of established traffic: one TCP stream, and datagrams of 64 bytes over ordinary sockets, with all that
//! Palisade enforces against a node that only tracks connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use palisade_integration::netns::Topology;

use crate::stage::{Enforced, Layout, Stage, TRACKED};
use crate::support::measured::Measured;
use crate::support::{CLIENT, PORT, SERVER, from_client, many_policies, pod, to_server};

const ROUNDS: usize = 61;
const TURN: Duration = Duration::from_millis(150);
const WRITE: usize = 128 << 10;
const DATAGRAM: usize = 64;

/// As many base chains as Palisade has, of one rule each: what those cost in which nothing is done.
const HOOKS: &str = "table inet hooks {
    chain guard { type filter hook prerouting priority -300; accept; }
    chain forward-egress { type filter hook forward priority -20; ct state established accept; }
    chain forward-ingress { type filter hook forward priority -10; accept; }
}
table bridge hooks {
    chain guard { type filter hook prerouting priority -300; accept; }
    chain forward { type filter hook forward priority -200; accept; }
}";

/// The same with one for both directions.
const FEWER_HOOKS: &str = "table inet hooks {
    chain guard { type filter hook prerouting priority -300; accept; }
    chain forward { type filter hook forward priority -20; ct state established accept; }
}
table bridge hooks {
    chain guard { type filter hook prerouting priority -300; accept; }
    chain forward { type filter hook forward priority -200; accept; }
}";

pub(crate) fn measure() {
    println!("\nestablished traffic, allowed by 1,000 policies and guarded, median of {ROUNDS} turns of {TURN:?};");
    println!("empty: base chains like Palisade's with one rule each; fewer: with one for both directions");
    println!("{:<40}{:>12}{:>12}{:>8}{:>8}{:>8}", "", "nothing", "Palisade", "ratio", "empty", "fewer");
    let topologies = [("routed", Topology::routed(1)), ("on a bridge", Topology::routed(1).on_bridges())];
    for (how, topology) in topologies {
        let text = |text: &str| Layout::Text(text.to_owned());
        let layouts = [text(TRACKED), everything(), text(HOOKS), text(FEWER_HOOKS)];
        let stages = layouts.map(|layout| Stage::new(topology, &layout));
        let mut streams = stages.each_ref().map(Stream::begin);
        row(&format!("one TCP stream, {how}, Gbit/s"), |side| streams[side].turn());
        let mut datagrams = stages.each_ref().map(Datagrams::begin);
        row(&format!("UDP, {DATAGRAM} bytes, {how}, 1,000/s"), |side| datagrams[side].turn());
        assert!(stages[1].knows_connections(), "every packet was judged");
    }
}

fn row(what: &str, side: impl FnMut(usize) -> f64) {
    let row = Measured::<4>::of(ROUNDS, side);
    let [nothing, palisade, ..] = row.medians();
    let [ratio, hooks, fewer] = [1, 2, 3].map(|side| row.ratio(side, 0));
    println!("{what:<40}{nothing:>12.2}{palisade:>12.2}{ratio:>8.3}{hooks:>8.3}{fewer:>8.3}");
}

/// Both pods are known, and isolated each its own way.
fn everything() -> Layout {
    let pods = [pod("peer-0", CLIENT.into()), to_server(), from_client()];
    let changes = many_policies(1_000).into_iter().chain(pods).collect();
    Layout::Enforced(Enforced { settled: true, ..Enforced::of(changes) })
}

/// A TCP connection, which a thread reads from all the time.
struct Stream {
    writer: TcpStream,
    written: u64,
    read: Arc<AtomicU64>,
}

impl Stream {
    fn begin(stage: &Stage) -> Self {
        let listener = stage.server.namespace().enter(|| TcpListener::bind((SERVER, PORT)));
        let listener = listener.expect("the server can be entered").expect("the port is free");
        let writer = stage.client.namespace().enter(|| TcpStream::connect((SERVER, PORT)));
        let writer = writer.expect("the client can be entered").expect("the server can be reached");
        let (mut reader, _) = listener.accept().expect("the client has connected");
        let read = count(move |buffer| reader.read(buffer).unwrap_or(0));
        Self { writer, written: 0, read }
    }

    /// Gbit/s until all has arrived.
    fn turn(&mut self) -> f64 {
        let (start, before) = (Instant::now(), self.written);
        while start.elapsed() < TURN {
            self.writer.write_all(&[0; WRITE]).expect("the stream goes on");
            self.written += WRITE as u64;
        }
        while self.read.load(Ordering::Relaxed) < self.written {
            sleep(Duration::from_micros(50));
        }
        rate(self.written - before, start.elapsed()) * 8e-9
    }
}

/// A client's socket, and one of the server, which a thread reads from all the time.
struct Datagrams {
    sender: UdpSocket,
    bytes: Arc<AtomicU64>,
}

impl Datagrams {
    /// After a word in each direction.
    fn begin(stage: &Stage) -> Self {
        let receiver = stage.server.namespace().enter(|| UdpSocket::bind((SERVER, PORT)));
        let receiver = receiver.expect("the server can be entered").expect("the port is free");
        let sender = stage.client.namespace().enter(|| UdpSocket::bind((CLIENT, 0)));
        let sender = sender.expect("the client can be entered").expect("there are ports");
        sender.connect((SERVER, PORT)).expect("an address");
        sender.send(b"hello").expect("the first word is sent");
        let (_, client) = receiver.recv_from(&mut [0; DATAGRAM]).expect("the first word arrives");
        receiver.send_to(b"hello", client).expect("the answer is sent");
        sender.recv(&mut [0; DATAGRAM]).expect("the answer arrives");
        let bytes = count(move |buffer| receiver.recv(buffer).unwrap_or(0));
        Self { sender, bytes }
    }

    /// Thousands a second that arrive.
    fn turn(&mut self) -> f64 {
        let (start, before) = (Instant::now(), self.bytes.load(Ordering::Relaxed));
        while start.elapsed() < TURN {
            for _ in 0..100 {
                self.sender.send(&[0; DATAGRAM]).expect("datagrams can be sent");
            }
        }
        let elapsed = start.elapsed();
        sleep(Duration::from_millis(5));
        rate(self.bytes.load(Ordering::Relaxed) - before, elapsed) / DATAGRAM as f64 * 1e-3
    }
}

/// Counts what `read` gets, until it gets nothing.
fn count(mut read: impl FnMut(&mut [u8]) -> usize + Send + 'static) -> Arc<AtomicU64> {
    let bytes = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&bytes);
    spawn(move || {
        let mut buffer = vec![0; WRITE];
        loop {
            match read(&mut buffer) {
                0 => break,
                length => counter.fetch_add(length as u64, Ordering::Relaxed),
            };
        }
    });
    bytes
}

/// Bytes a second.
fn rate(bytes: u64, time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = bytes as f64;
    bytes / time.as_secs_f64()
}
