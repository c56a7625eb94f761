//! Ordinary UDP sockets of hosts.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::patience::LIMIT;

use crate::scene::Scene;

/// What has not been heard for so long will not be.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(5);

/// A socket at a fixed port of a host.
pub(crate) struct Mouth(UdpSocket);

impl Mouth {
    pub(crate) fn open(scene: &Scene, name: &str, is_ipv6: bool, port: u16) -> Self {
        let bind = || UdpSocket::bind(scene.at(name, is_ipv6, port));
        let socket = scene.host(name).namespace().enter(bind).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Says a word; that nobody listens is no failure.
    pub(crate) fn say(&self, to: &Self) {
        self.say_to(to.at());
    }

    /// The same, to whoever is there.
    pub(crate) fn say_to(&self, to: SocketAddr) {
        let _ = self.0.send_to(b"word", to);
    }

    /// How many words have come since it was last asked.
    pub(crate) fn heard(&self) -> usize {
        let mut heard = 0;
        loop {
            match self.0.recv_from(&mut [0; 64]) {
                Ok(_) => heard += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether a word comes within a long time.
    pub(crate) fn hears(&self) -> bool {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            if self.heard() > 0 {
                return true;
            }
            sleep(PAUSE);
        }
        false
    }
}

/// Two sockets.
pub(crate) struct Pair([Mouth; 2]);

impl Pair {
    pub(crate) fn ends(&self) -> [&Mouth; 2] {
        self.0.each_ref()
    }

    pub(crate) fn open(scene: &Scene, names: [(&str, u16); 2], is_ipv6: bool) -> Self {
        Self(names.map(|(name, port)| Mouth::open(scene, name, is_ipv6, port)))
    }

    /// Each speaks, the first one first, and is heard by the other.
    #[track_caller]
    pub(crate) fn talk(&self) {
        let [one, other] = &self.0;
        for (from, to) in [(one, other), (other, one)] {
            from.say(to);
            assert!(to.hears(), "{} is not heard by {}", from.at(), to.at());
        }
    }

    /// Each speaks, and how often each was heard: the first by the second, and the second by the first.
    pub(crate) fn try_to_talk(&self) -> [usize; 2] {
        let [one, other] = &self.0;
        for _ in 0..2 {
            one.say(other);
            other.say(one);
        }
        sleep(SILENCE);
        [other.heard(), one.heard()]
    }
}
