//! When which port's other end is asked.
//!
//! A network plugin plugs a pod in, and gives it its addresses, in steps of which some cannot be heard from here. So a
//! port is asked again, ever later, until it has given the same answer twice, one with an address that is not link-local.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::far::{Answer, ask};
use super::link::Far;

/// After these times a port is asked again.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1000)];
/// How often, at most, what the traffic on a port suggests makes it be asked once more.
const SECOND: Duration = Duration::from_secs(1);

/// The ports of bridges that pods are on, and what is known of their other ends.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<u32, Asked>,
    answers: BTreeMap<u32, Answer>,
}

#[derive(Debug)]
struct Asked {
    far: Far,
    /// When it was asked last.
    asked: Option<Instant>,
    /// When it will be.
    due: Option<Instant>,
    /// How often it has been since something happened.
    step: usize,
}

impl Ports {
    /// These are the ports, from now on. New ones are asked at once. Whether one is gone.
    pub(super) fn set(&mut self, ports: impl Iterator<Item = (u32, Far)>, now: Instant) -> bool {
        let mut gone = std::mem::take(&mut self.ports);
        for (index, far) in ports {
            let asked = gone.remove(&index).filter(|asked| asked.far == far);
            self.ports.insert(index, asked.unwrap_or(Asked { far, asked: None, due: Some(now), step: 0 }));
        }
        self.answers.retain(|index, _| self.ports.get(index).is_some_and(|port| port.asked.is_some()));
        !gone.is_empty()
    }

    /// Something happened to this port: it is asked at once, and again.
    pub(super) fn begin(&mut self, index: u32, now: Instant) {
        if let Some(port) = self.ports.get_mut(&index) {
            (port.due, port.step) = (Some(port.earliest(now)), 0);
        }
    }

    /// The same, for the port that has this as its other end.
    pub(super) fn begin_far(&mut self, far: Far, now: Instant) {
        let near = self.ports.iter().find(|(_, port)| port.far == far).map(|(index, _)| *index);
        near.into_iter().for_each(|index| self.begin(index, now));
    }

    /// Something came by this port, whoever made that come: a port that has not answered well is asked at once, another
    /// one now and then.
    pub(super) fn suspect(&mut self, index: u32, now: Instant) {
        let is_well = self.answers.get(&index).is_some_and(Answer::is_reachable);
        let Some(port) = self.ports.get_mut(&index) else { return };
        let pause = if is_well { SECOND } else { PAUSES[0] };
        let at = port.asked.map_or(now, |asked| now.max(asked + pause));
        port.due = Some(port.due.map_or(at, |due| due.min(at)));
    }

    /// [`Ports::suspect`] of all.
    pub(super) fn suspect_all(&mut self, now: Instant) {
        let all: Vec<u32> = self.ports.keys().copied().collect();
        all.into_iter().for_each(|index| self.suspect(index, now));
    }

    /// All are asked at once.
    pub(super) fn ask_all(&mut self, now: Instant) {
        self.ports.values_mut().for_each(|port| port.due = Some(port.earliest(now)));
    }

    /// When the next one is to be asked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ports.values().filter_map(|port| port.due).min()
    }

    /// Asks those whose time has come. Whether one has another answer.
    pub(super) fn ask_due(&mut self, asking: &mut Channel, now: Instant) -> bool {
        let mut changed = false;
        for (index, port) in self.ports.iter_mut().filter(|(_, port)| port.due.is_some_and(|due| due <= now)) {
            let answer = ask(asking, *index, port.far);
            let is_new = self.answers.get(index) != Some(&answer);
            let is_settled = !is_new && answer.is_reachable();
            port.due = PAUSES.get(port.step).filter(|_| !is_settled).map(|pause| now + *pause);
            port.step += 1;
            port.asked = Some(now);
            changed |= is_new;
            self.answers.insert(*index, answer);
        }
        changed
    }

    /// What the other ends have, by the ports' indexes.
    pub(super) fn answers(&self) -> &BTreeMap<u32, Answer> {
        &self.answers
    }
}

impl Asked {
    /// When it may be asked: whatever happens, not all the time.
    fn earliest(&self, now: Instant) -> Instant {
        const LEAST: Duration = Duration::from_millis(2);
        self.asked.map_or(now, |asked| now.max(asked + LEAST))
    }
}
