//! Whether the agent's thread is alive: it reports as it promised, or it works.
//!
//! A commit may take minutes in which the thread is in the kernel and can say nothing: whoever ends it then only has it
//! begin again. So a thread that is late is looked at. It is dead where it has used no CPU time for [`STILL`], although
//! nothing holds it in the kernel. (What waits there uninterruptibly cannot be ended anyhow.) A thread that works for
//! [`LONGEST`] without an end counts as dead, too: it serves nobody.

use std::time::{Duration, Instant};

use nix::unistd::{Pid, gettid};
use procfs::process::Process;

/// How much later than promised the thread may report, and how long it may act, before it counts as late.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How long a late thread may use no CPU time.
const STILL: Duration = Duration::from_secs(60);
/// How long it may be late at most, though it works.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// How long it may be late where it cannot be looked at.
const UNSEEN: Duration = Duration::from_secs(5 * 60);

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thread(Pid);

/// What it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity {
    /// How long it has run on a processor.
    pub(super) cpu: Duration,
    /// Whether it waits in the kernel, uninterruptibly.
    pub(super) held: bool,
}

impl Thread {
    /// The one that asks.
    pub(super) fn current() -> Self {
        Self(gettid())
    }

    /// What it does now; `None` where the system does not say.
    pub(super) fn activity(self) -> Option<Activity> {
        let task = Process::myself().and_then(|process| process.task_from_tid(self.0.as_raw())).ok()?;
        let cpu = Duration::from_nanos(task.schedstat().ok()?.sum_exec_runtime);
        Some(Activity { cpu, held: task.stat().ok()?.state == 'D' })
    }
}

/// What is known of the thread's life. Pure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    limits: Limits,
    /// Until when it need not report, or since when it acts.
    state: Doing,
    /// When a late thread was last seen to work, and how much CPU time it had used then.
    worked: Option<(Instant, Duration)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) grace: Duration,
    pub(super) still: Duration,
    pub(super) longest: Duration,
    pub(super) unseen: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Resting { until: Instant },
    Acting { since: Instant },
}

impl Default for Limits {
    fn default() -> Self {
        Self { grace: GRACE, still: STILL, longest: LONGEST, unseen: UNSEEN }
    }
}

impl Pulse {
    /// A thread that will rest, or act, before long.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, state: Doing::Acting { since: now }, worked: None }
    }

    /// The thread has something to do now.
    pub(super) fn acts(&mut self, now: Instant) {
        self.state = Doing::Acting { since: now };
        self.worked = None;
    }

    /// The thread is done, and need not report until then.
    pub(super) fn rests(&mut self, until: Instant) {
        self.state = Doing::Resting { until };
        self.worked = None;
    }

    /// For how long the thread should have reported, or been done.
    pub(super) fn late(&self, now: Instant) -> Option<Duration> {
        let (Doing::Resting { until: since } | Doing::Acting { since }) = self.state;
        now.checked_duration_since(since).filter(|late| *late > self.limits.grace)
    }

    /// Whether it is alive. `activity`: what it does, where that is known; it is not asked for a thread that is not late.
    pub(super) fn is_alive(&mut self, now: Instant, activity: Option<Activity>) -> bool {
        let Some(late) = self.late(now) else { return true };
        let Some(Activity { cpu, held }) = activity else { return late <= self.limits.unseen };
        if held || self.worked.is_none_or(|(_, before)| cpu > before) {
            self.worked = Some((now, cpu));
        }
        let still = self.worked.map_or(Duration::ZERO, |(at, _)| now.duration_since(at));
        still <= self.limits.still && late <= self.limits.longest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn used(seconds: u32) -> Option<Activity> {
        Some(Activity { cpu: SECOND * seconds, held: false })
    }

    fn acting() -> (Pulse, Instant) {
        let now = Instant::now();
        (Pulse::new(Limits::default(), now), now)
    }

    #[test]
    fn who_rests_as_promised_is_alive_whatever_he_does() {
        let (mut pulse, now) = acting();
        pulse.rests(now + 3600 * SECOND);
        assert!(pulse.is_alive(now + 3609 * SECOND, None) && pulse.late(now + 3609 * SECOND).is_none());
    }

    /// 137 seconds have been seen, and more is to be expected.
    #[test]
    fn who_works_is_alive_for_long() {
        let (mut pulse, now) = acting();
        let alive = (0..1700).step_by(20).all(|second| pulse.is_alive(now + SECOND * second, used(second / 7)));
        assert!(alive && pulse.late(now + 1700 * SECOND).is_some());
        assert!(!pulse.is_alive(now + 1801 * SECOND, used(1700)), "it serves nobody");
    }

    #[test]
    fn who_has_stopped_to_work_is_dead_after_a_minute() {
        let (mut pulse, now) = acting();
        assert!(pulse.is_alive(now + 100 * SECOND, used(50)));
        assert!(pulse.is_alive(now + 160 * SECOND, used(50)));
        assert!(!pulse.is_alive(now + 161 * SECOND, used(50)));
        assert!(pulse.is_alive(now + 162 * SECOND, used(51)), "it goes on");
        assert!(!pulse.is_alive(now + 223 * SECOND, used(51)));
        pulse.rests(now + 300 * SECOND);
        assert!(pulse.is_alive(now + 224 * SECOND, used(51)));
    }

    #[test]
    fn who_is_held_by_the_kernel_cannot_be_ended() {
        let (mut pulse, now) = acting();
        let held = Some(Activity { cpu: SECOND, held: true });
        assert!((0..1800).step_by(20).all(|second| pulse.is_alive(now + SECOND * second, held)));
    }

    #[test]
    fn who_cannot_be_seen_has_five_minutes() {
        let (mut pulse, now) = acting();
        assert!(pulse.is_alive(now + 300 * SECOND, None));
        assert!(!pulse.is_alive(now + 301 * SECOND, None));
    }

    /// The thread of the test is one that works, another one waits.
    #[test]
    fn the_system_tells_who_works() {
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let waiting = thread::spawn(move || {
            tell.send(Thread::current()).unwrap();
            let _ = ended.recv();
        });
        let other = told.recv().unwrap();
        let own = Thread::current().activity().unwrap();
        let mut before = other.activity().unwrap();
        while Thread::current().activity().unwrap().cpu < own.cpu + Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        // It may have been on its way to wait.
        let mut after = other.activity().unwrap();
        while after.cpu != before.cpu {
            before = after;
            thread::sleep(Duration::from_millis(20));
            after = other.activity().unwrap();
        }
        drop(end);
        waiting.join().unwrap();
        assert!(other.activity().is_none(), "a thread that has ended");
    }
}
