//! When which port's other end is asked.
//!
//! A network plugin plugs a pod in, and gives it its addresses, in steps of which some cannot be heard from here. So a
//! port is asked again, ever later, until it has given the same answer twice, one with an address that is not link-local.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::far::{Answer, ask};
use super::link::Far;

/// After these times a port is asked again.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1000)];
/// Whatever happens, a port is not asked more often.
const LEAST: Duration = Duration::from_millis(2);
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
            port.step = 0;
            port.ask_again(LEAST, now);
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
        let pause = if is_well(&self.answers, index) { SECOND } else { PAUSES[0] };
        self.ports.get_mut(&index).into_iter().for_each(|port| port.ask_again(pause, now));
    }

    /// [`Ports::suspect`] of all.
    pub(super) fn suspect_all(&mut self, now: Instant) {
        let all: Vec<u32> = self.ports.keys().copied().collect();
        all.into_iter().for_each(|index| self.suspect(index, now));
    }

    /// All are asked at once.
    pub(super) fn ask_all(&mut self, now: Instant) {
        self.ports.values_mut().for_each(|port| port.ask_again(LEAST, now));
    }

    /// Those named are asked at once, and those that have not answered well; where none is named, all others soon.
    pub(super) fn look_again(&mut self, named: &BTreeSet<u32>, now: Instant) {
        for (index, port) in &mut self.ports {
            if named.contains(index) || !is_well(&self.answers, *index) {
                port.ask_again(LEAST, now);
            } else if named.is_empty() {
                port.ask_again(PAUSES[1], now);
            }
        }
    }

    /// When the next one is to be asked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ports.values().filter_map(|port| port.due).min()
    }

    /// Asks those whose time has come. Whether one has another answer.
    pub(super) fn ask_due(&mut self, asking: &mut Channel, now: Instant) -> bool {
        let is_due = |(_, port): &(&u32, &Asked)| port.due.is_some_and(|due| due <= now);
        let due: Vec<(u32, Far)> = self.ports.iter().filter(is_due).map(|(index, port)| (*index, port.far)).collect();
        let mut changed = false;
        for (index, far) in due {
            changed |= self.answered(index, ask(asking, index, far), now);
        }
        changed
    }

    /// Takes in an answer. Whether it is another one than before. Where there is none, the last one holds until it was asked for
    /// in vain several times: whoever has an address does not lose it because the kernel was busy.
    fn answered(&mut self, index: u32, answer: Option<Answer>, now: Instant) -> bool {
        let Some(port) = self.ports.get_mut(&index) else { return false };
        let pause = PAUSES.get(port.step);
        let known = self.answers.get(&index);
        let is_answer = answer.is_some();
        let answer = answer.or_else(|| known.filter(|_| pause.is_some()).cloned()).unwrap_or_default();
        let is_new = known != Some(&answer);
        let is_settled = is_answer && !is_new && answer.is_reachable();
        port.due = pause.filter(|_| !is_settled).map(|pause| now + *pause);
        port.step += 1;
        port.asked = Some(now);
        self.answers.insert(index, answer);
        is_new
    }

    /// What the other ends have, by the ports' indexes.
    pub(super) fn answers(&self) -> &BTreeMap<u32, Answer> {
        &self.answers
    }
}

impl Asked {
    /// Now, or so long after it was asked last.
    fn ask_again(&mut self, pause: Duration, now: Instant) {
        let at = self.asked.map_or(now, |asked| now.max(asked + pause));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// Whether this port has told of an address.
fn is_well(answers: &BTreeMap<u32, Answer>, index: u32) -> bool {
    answers.get(&index).is_some_and(Answer::is_reachable)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// A port that was asked, with an answer.
    fn asked(now: Instant) -> (Ports, Answer) {
        let mut ports = Ports::default();
        ports.set([(7, Far { namespace: 1, index: 2 })].into_iter(), now);
        let answer = Answer { addresses: Some(["10.0.0.1".parse().unwrap()].into()), mac: Some([2; 6]) };
        assert!(ports.answered(7, Some(answer.clone()), now));
        assert!(!ports.answered(7, Some(answer.clone()), now));
        assert_eq!(ports.due(), None, "it has answered twice");
        (ports, answer)
    }

    #[test]
    fn who_cannot_be_asked_for_a_moment_has_what_it_had() {
        let now = Instant::now();
        let (mut ports, answer) = asked(now);
        ports.begin(7, now);
        assert!(!ports.answered(7, None, now));
        assert!(ports.due().is_some() && ports.answers()[&7] == answer);
        assert!(!ports.answered(7, Some(answer.clone()), now));
        assert_eq!((ports.due(), &ports.answers()[&7]), (None, &answer));
    }

    #[test]
    fn who_cannot_be_asked_again_and_again_or_is_another_has_nothing() {
        let now = Instant::now();
        let (mut ports, answer) = asked(now);
        ports.begin(7, now);
        assert!(PAUSES.iter().all(|_| !ports.answered(7, None, now)));
        assert_eq!(ports.answers()[&7], answer);
        assert!(ports.answered(7, None, now));
        assert_eq!((ports.due(), &ports.answers()[&7]), (None, &Answer::default()));
        let (mut ports, _) = asked(now);
        assert!(ports.answered(7, Some(Answer::default()), now), "it is the other end no longer");
    }

    /// While a hundred others are well.
    #[test]
    fn who_is_waited_for_is_asked_and_not_all_the_others() {
        let start = Instant::now();
        let mut ports = Ports::default();
        let far = |index| (index, Far { namespace: 1, index });
        ports.set((1..=100).map(far), start);
        let well = |index: u32| Answer {
            addresses: Some([IpAddr::from([10, 0, 0, index.to_le_bytes()[0]])].into()),
            mac: None,
        };
        for index in 1..100 {
            ports.answered(index, Some(well(index)), start);
            ports.answered(index, Some(well(index)), start);
        }
        ports.answered(100, Some(Answer::default()), start);
        let now = start + Duration::from_millis(5);
        let mut due = |named: &[u32], now| {
            ports.look_again(&named.iter().copied().collect(), now);
            let is_due = |(index, port): (&u32, &Asked)| port.due.is_some_and(|due| due <= now).then_some(*index);
            ports.ports.iter().filter_map(is_due).collect::<Vec<_>>()
        };
        assert_eq!(due(&[], now), [100], "it has told of no address");
        assert_eq!(due(&[7], now), [7, 100]);
        assert_eq!(due(&[], start + PAUSES[1]).len(), 100, "nobody is named: now and then all are asked");
    }
}
