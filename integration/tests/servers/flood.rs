//! A flood: connections that send most of a request, and never its end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use palisade_integration::netns::Host;

/// How many connections are kept open.
pub(crate) const CONNECTIONS: usize = 2_000;
/// How much of an unfinished header each of them sends, in bytes.
const HEADER: usize = 400_000;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const START: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: node\r\nx: ";
static CHUNK: [u8; 65_536] = [b'x'; 65_536];

/// Runs until it is dropped. Whoever is refused comes again.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Comes from a pod to a port of its node, from a few threads.
    pub(crate) fn start(pod: &Host, target: SocketAddr) -> Self {
        const THREADS: usize = 2;
        let (stop, attempts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..THREADS).map(|_| {
            let (stop, attempts) = (Arc::clone(&stop), Arc::clone(&attempts));
            let namespace = pod.namespace().try_clone().unwrap();
            thread::spawn(move || {
                let work = || flood(target, CONNECTIONS / THREADS, &stop, &attempts);
                namespace.enter(work).unwrap();
            })
        });
        let threads = threads.collect();
        Self { stop, attempts, threads }
    }

    /// How many connections it has begun.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

fn flood(target: SocketAddr, connections: usize, stop: &AtomicBool, attempts: &AtomicUsize) {
    let mut all: Vec<Option<(TcpStream, usize)>> = (0..connections).map(|_| None).collect();
    while !stop.load(Ordering::Relaxed) {
        for one in &mut all {
            let stands = one.as_mut().is_some_and(|(stream, sent)| goes_on(stream, sent));
            if !stands {
                attempts.fetch_add(1, Ordering::Relaxed);
                *one = begin(target);
            }
        }
        // A moment for others on the machine.
        thread::sleep(Duration::from_millis(1));
    }
}

fn begin(target: SocketAddr) -> Option<(TcpStream, usize)> {
    let mut stream = TcpStream::connect_timeout(&target, CONNECT_LIMIT).ok()?;
    stream.set_nonblocking(true).ok()?;
    stream.write_all(START).ok()?;
    Some((stream, START.len()))
}

/// Sends more, while there is something to send. Whether the connection stands.
fn goes_on(stream: &mut TcpStream, sent: &mut usize) -> bool {
    let left = (HEADER - *sent).min(CHUNK.len());
    let result = if left > 0 { stream.write(&CHUNK[..left]) } else { stream.read(&mut [0; 512]).map(|_| 0) };
    match result {
        Ok(written) => {
            *sent += written;
            left > 0
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
