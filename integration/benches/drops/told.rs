//! How long it takes from a dropped packet to its line in `palisade monitor`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scene::Scene;

const PACKETS: u16 = 200;
/// Slower than chains tell.
const PERIOD: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PORT: u16 = 1_000;

pub(crate) fn measure() {
    println!(
        "\nfrom a dropped packet to its line in `palisade monitor -o json`, in ms, of {PACKETS}, one every {PERIOD:?}"
    );
    println!("{:<48}{:>8}{:>8}{:>8}{:>8}", "", "p50", "p90", "p99", "most");
    let scene = Scene::new(50, 2, "9467");
    row("nothing else is dropped", &scene, false);
    row("49 other pods are flooded by one sender", &scene, true);
}

fn row(what: &str, scene: &Scene, flooded: bool) {
    let monitor = Monitor::begin(scene);
    let done = AtomicBool::new(!flooded);
    let mut times = thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                scene.flood(1, 1, 1);
            }
        });
        let times: Vec<_> = (0..PACKETS).map(|number| monitor.line_of(scene, FIRST_PORT + number)).collect();
        done.store(true, Ordering::Relaxed);
        times
    });
    times.sort_unstable();
    let [p50, p90, p99, most] = [50, 90, 99, 100].map(|part| times[(times.len() - 1) * part / 100]);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let [p50, p90, p99, most] = [p50, p90, p99, most].map(milliseconds);
    println!("{what:<48}{p50:>8.1}{p90:>8.1}{p99:>8.1}{most:>8.1}");
}

/// Follows the first server.
struct Monitor {
    child: Child,
    /// The ports of records, with when their lines were read.
    lines: Receiver<(u16, Instant)>,
}

impl Monitor {
    fn begin(scene: &Scene) -> Self {
        let mut command = scene.palisade(&["monitor", "-o", "json", "--pod", "bench/server-0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("palisade monitor starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        output.next().expect("it begins").expect("with a line");
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                let now = Instant::now();
                let record: Value = serde_json::from_str(&line).expect("a line of JSON");
                let port = record["port"].as_u64().and_then(|port| u16::try_from(port).ok());
                if port.is_some_and(|port| told.send((port, now)).is_err()) {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Has a packet dropped, and gives how long that took to be told.
    fn line_of(&self, scene: &Scene, port: u16) -> Duration {
        thread::sleep(PERIOD);
        let sent = Instant::now();
        scene.send_one(0, port);
        loop {
            let (of, read) = self.lines.recv_timeout(PATIENCE).expect("every packet is told of");
            if of == port {
                return read - sent;
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // What has ended already need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
