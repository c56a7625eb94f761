//! What a dropped packet costs the kernel: where drops are only counted, where they are told and nobody reads it, and where the
//! agent does.

use crate::scene::Scene;
use crate::support::datagrams::nanoseconds_each;
use crate::support::measured::Measured;

const ROUNDS: usize = 61;
const BATCHES: usize = 40;
/// What comes before: after a pause chains tell of more than while a flood goes on.
const BATCHES_BEFORE: usize = 5;
/// No program reads it.
const GROUP: &str = "11";

pub(crate) fn measure() {
    println!("ns per UDP packet that is dropped (veth, routing and conntrack included), median of {ROUNDS} turns");
    println!("{:<24}{:>8}{:>10}{:>8}{:>10}{:>8}", "pods at once", "counted", "not read", "ratio", "the agent", "ratio");
    for pods in [1, 50] {
        let sides = [
            Scene::new(pods, 1, "none").without_agent(),
            Scene::new(pods, 1, GROUP).without_agent(),
            Scene::new(pods, 1, "9467"),
        ];
        let row = Measured::<3>::of(ROUNDS, |side| {
            sides[side].flood(0, 0, BATCHES_BEFORE);
            let (count, elapsed) = sides[side].flood(0, 0, BATCHES);
            nanoseconds_each(elapsed, count)
        });
        let [counted, unread, agent] = row.medians();
        let [of_unread, of_agent] = [row.ratio(1, 0), row.ratio(2, 0)];
        println!("{pods:<24}{counted:>8.0}{unread:>10.0}{of_unread:>8.3}{agent:>10.0}{of_agent:>8.3}");
        sides.iter().for_each(|side| assert!(side.dropped() > 0, "nothing was dropped"));
    }
}
