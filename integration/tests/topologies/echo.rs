//! Servers that say who they are and whom they see, and clients that ask them.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use palisade_integration::netns::Host;
use palisade_integration::patience::LIMIT;

/// How long an answer that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(2);

/// A protocol that Services carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Answer {
    /// Its name.
    pub(crate) server: String,
    /// The address that it was asked from, as it sees it.
    pub(crate) seen: IpAddr,
}

/// Answers at one port of a host, in all its families, over TCP and UDP, until it is dropped.
pub(crate) struct Server {
    running: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(name: &str, host: &Host, port: u16) -> Self {
        let bind = || {
            let addresses = host.addresses().iter().map(|address| SocketAddr::new(*address, port));
            addresses.map(|at| Ok((TcpListener::bind(at)?, UdpSocket::bind(at)?))).collect::<io::Result<Vec<_>>>()
        };
        let sockets = host.namespace().enter(bind).unwrap().unwrap();
        for (tcp, udp) in &sockets {
            tcp.set_nonblocking(true).unwrap();
            udp.set_nonblocking(true).unwrap();
        }
        let running = Arc::new(AtomicBool::new(true));
        let (goes_on, name) = (Arc::clone(&running), name.to_owned());
        let thread = thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                sockets.iter().for_each(|(tcp, udp)| serve(&name, tcp, udp));
                thread::sleep(POLL);
            }
        });
        Self { running, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(name: &str, tcp: &TcpListener, udp: &UdpSocket) {
    let answer = |from: SocketAddr| format!("{name} {}", from.ip());
    while let Ok((mut stream, from)) = tcp.accept() {
        let _ = stream.write_all(answer(from).as_bytes());
    }
    while let Ok((_, from)) = udp.recv_from(&mut [0; 16]) {
        let _ = udp.send_to(answer(from).as_bytes(), from);
    }
}

/// Asks until there is an answer; a panic if there is none.
#[track_caller]
pub(crate) fn ask(from: &Host, to: SocketAddr, protocol: Protocol) -> Answer {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(answer) = ask_once(from, to, protocol, Duration::from_secs(1)) {
            return answer;
        }
    }
    panic!("{:?} asks {to} by {protocol:?} and gets no answer", from.addresses());
}

/// Asks once and for a short while only.
pub(crate) fn ask_briefly(from: &Host, to: SocketAddr, protocol: Protocol) -> Option<Answer> {
    ask_once(from, to, protocol, SILENCE)
}

fn ask_once(from: &Host, to: SocketAddr, protocol: Protocol, limit: Duration) -> Option<Answer> {
    let source = *from.addresses().iter().find(|address| address.is_ipv6() == to.is_ipv6())?;
    let answer = from.namespace().enter(|| match protocol {
        Protocol::Tcp => tcp(to, limit),
        Protocol::Udp => udp(source, to, limit),
    });
    let answer = answer.unwrap().ok()?;
    let (server, seen) = answer.split_once(' ')?;
    Some(Answer { server: server.to_owned(), seen: seen.parse().unwrap() })
}

fn tcp(to: SocketAddr, limit: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, limit)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn udp(source: IpAddr, to: SocketAddr, limit: Duration) -> io::Result<String> {
    let socket = UdpSocket::bind((source, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(limit))?;
    socket.send(b"who?")?;
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
