//! Packets that flow by themselves while something else happens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use palisade_integration::netns::Host;
use palisade_integration::patience::{LIMIT, eventually};

use super::conversation::at;

const PAUSE: Duration = Duration::from_millis(5);
const READ_LIMIT: Duration = Duration::from_millis(50);

/// Threads that work until they are told to stop, and how much they have done.
struct Work {
    going: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    fn new() -> Self {
        Self { going: Arc::new(AtomicBool::new(true)), done: Arc::default(), threads: Vec::new() }
    }

    /// Does `step` again and again, which gives how much more is done.
    fn repeat(&mut self, mut step: impl FnMut() -> usize + Send + 'static) {
        let (going, done) = (Arc::clone(&self.going), Arc::clone(&self.done));
        self.threads.push(thread::spawn(move || {
            while going.load(Ordering::Relaxed) {
                done.fetch_add(step(), Ordering::Relaxed);
            }
        }));
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    fn wait_for(&self, more: usize) {
        let (start, before) = (Instant::now(), self.done());
        while self.done() < before + more {
            assert!(start.elapsed() < LIMIT, "it stands still");
            sleep(PAUSE);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.going.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One TCP connection, over which the client sends as much as it can.
pub(super) struct Bulk(Work);

impl Bulk {
    pub(super) fn start(client: &Host, server: &Host, port: u16) -> Self {
        let address = at(server, false, port);
        let listener = server.namespace().enter(|| TcpListener::bind(address)).unwrap().unwrap();
        let mut sender = client.namespace().enter(|| TcpStream::connect(address)).unwrap().unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        sender.set_write_timeout(Some(READ_LIMIT)).unwrap();
        receiver.set_read_timeout(Some(READ_LIMIT)).unwrap();
        let mut work = Work::new();
        work.repeat(move || {
            // A full buffer is waited for, for a while.
            let _ = sender.write(&[7; 8192]);
            sleep(Duration::from_micros(200));
            0
        });
        work.repeat(move || receiver.read(&mut [0; 1 << 16]).unwrap_or(0));
        Self(work)
    }

    pub(super) fn received(&self) -> usize {
        self.0.done()
    }

    pub(super) fn wait_for_more(&self) {
        self.0.wait_for(100_000);
    }
}

/// One UDP exchange: the client sends numbers, the server answers with what it got.
pub(super) struct Exchange {
    work: Work,
    sent: Arc<AtomicUsize>,
    answers: Arc<std::sync::Mutex<Vec<u64>>>,
}

impl Exchange {
    pub(super) fn start(client: &Host, server: &Host, port: u16) -> Self {
        let address = at(server, true, port);
        let open = |host: &Host, address| {
            let socket = host.namespace().enter(|| UdpSocket::bind(address)).unwrap().unwrap();
            socket.set_read_timeout(Some(READ_LIMIT)).unwrap();
            socket
        };
        let (client, server) = (open(client, at(client, true, port)), open(server, address));
        Self::meet(&client, &server, address);
        let (sent, answers) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let mut work = Work::new();
        let (sender, numbers) = (client.try_clone().unwrap(), Arc::clone(&sent));
        work.repeat(move || {
            let number = numbers.fetch_add(1, Ordering::Relaxed) as u64;
            sender.send_to(&number.to_be_bytes(), address).unwrap();
            sleep(Duration::from_millis(1));
            0
        });
        work.repeat(move || {
            let mut number = [0; 8];
            if let Ok((8, peer)) = server.recv_from(&mut number) {
                server.send_to(&number, peer).unwrap();
            }
            0
        });
        let heard: Arc<std::sync::Mutex<Vec<u64>>> = Arc::clone(&answers);
        work.repeat(move || {
            let mut number = [0; 8];
            let received = client.recv(&mut number).is_ok_and(|length| length == number.len());
            if received {
                heard.lock().unwrap().push(u64::from_be_bytes(number));
            }
            usize::from(received)
        });
        Self { work, sent, answers }
    }

    /// One datagram there and back, that none is lost later while neighbours are looked for: it is empty, and may come again.
    fn meet(client: &UdpSocket, server: &UdpSocket, address: SocketAddr) {
        let greet = |from: &UdpSocket, to: &UdpSocket, address| {
            from.send_to(&[], address).unwrap();
            to.recv_from(&mut []).ok()
        };
        let met = || greet(client, server, address).and_then(|(_, peer)| greet(server, client, peer)).map(drop);
        eventually(PAUSE, met, || "no datagram comes through".to_owned());
    }

    pub(super) fn wait_for_more(&self) {
        self.work.wait_for(100);
    }

    /// The first numbers that were not answered in their turn.
    pub(super) fn stop(self) -> Vec<u64> {
        // What was sent by now is answered before more than what is under way.
        let sent = self.sent.load(Ordering::Relaxed) as u64;
        self.work.wait_for(200);
        drop(self.work);
        let answers = self.answers.lock().unwrap();
        (0..sent)
            .zip(answers.iter())
            .filter(|(expected, answer)| *expected != **answer)
            .map(|(number, _)| number)
            .take(3)
            .collect()
    }
}

/// New UDP connections from the client to the server, some at a time.
pub(super) struct Beginning(Work);

impl Beginning {
    pub(super) fn start(client: &Host, server: &Host) -> Self {
        const AT_A_TIME: usize = 20;
        let (from, to) = (at(client, false, 0), at(server, false, 0));
        let namespace = client.namespace().try_clone().unwrap();
        let mut targets: Vec<u16> = Vec::new();
        let mut socket = None;
        let mut work = Work::new();
        work.repeat(move || {
            if targets.len() < AT_A_TIME {
                targets = (1..=u16::MAX).collect();
                socket = namespace.enter(|| UdpSocket::bind(from)).unwrap().ok();
            }
            let socket = socket.as_ref().unwrap();
            // The server has no such port and says so, which the socket tells once.
            let sent = targets.drain(..AT_A_TIME).filter(|port| socket.send_to(&[0], (to.ip(), *port)).is_ok()).count();
            sleep(Duration::from_millis(1));
            sent
        });
        Self(work)
    }

    pub(super) fn wait_for(&self, more: usize) {
        self.0.wait_for(more);
    }
}
