//! What the agent uses while packets are dropped, as many as this machine can send.

use std::thread;
use std::time::{Duration, Instant};

use crate::scene::Scene;

const TURN: Duration = Duration::from_secs(10);
const BATCHES: usize = 20;

pub(crate) fn measure() {
    let most = u8::try_from(thread::available_parallelism().map_or(1, usize::from).min(8)).expect("a handful");
    println!("\nwhile pods are flooded for {TURN:?}: packets dropped a second, and the agent's share of one processor");
    println!("{:<8}{:>10}{:>14}{:>10}{:>12}", "pods", "senders", "dropped/s", "agent %", "told/s");
    for pods in [1, 50, 110] {
        let scene = Scene::new(pods, most, "9467");
        for senders in 0..=most {
            row(&scene, pods, senders);
        }
    }
}

fn row(scene: &Scene, pods: u8, senders: u8) {
    let (dropped, cpu, told, start) = (scene.dropped(), scene.cpu(), told(scene), Instant::now());
    thread::scope(|threads| {
        for number in 0..senders {
            threads.spawn(move || {
                while start.elapsed() < TURN {
                    scene.flood(number, 0, BATCHES);
                }
            });
        }
        thread::sleep(TURN);
    });
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_second = |count: u64| count as f64 / start.elapsed().as_secs_f64();
    let share = (scene.cpu() - cpu).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    let dropped = per_second(scene.dropped() - dropped);
    let told = per_second(self::told(scene) - told);
    println!("{pods:<8}{senders:>10}{dropped:>14.0}{share:>10.2}{told:>12.0}");
}

/// How many packets the kernel told of so far.
fn told(scene: &Scene) -> u64 {
    let output = scene.palisade(&["monitor", "-o", "json", "--last", "0"]).output().expect("the agent answers");
    let header = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header: serde_json::Value = serde_json::from_slice(header).expect("it begins with a header");
    header["logged"].as_u64().expect("it says how many")
}
