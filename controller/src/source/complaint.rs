//! What is said of objects that cannot be understood, and how often.
//!
//! Whoever may write objects must not fill the disks of all nodes with what is wrong with them.
//!
//! Invariants:
//! - A complaint has at most [`LONGEST`] bytes, whatever the object holds.
//! - Of an object there is at most one complaint in [`INTERVAL`]; what comes in between waits, and only the newest is kept.
//! - Of all objects together [so many lines](Lines) are logged in [`INTERVAL`] at most, and one that counts the others.

use std::collections::HashMap;

use palisade_model::NamespacedName;
use tokio::time::Instant;

use crate::convert::Problem;
use crate::lines::{INTERVAL, Lines};
use crate::text::some_of;

/// Of how many objects the newest complaint waits at most.
const WAITING: usize = 1000;
/// How many problems of an object are told.
const TOLD: usize = 3;
/// How much of each, in bytes.
const LONGEST_PROBLEM: usize = 200;
/// Of all of them together, in bytes, with what is between them.
#[cfg(test)]
const LONGEST: usize = 700;

/// An object of which something could not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) id: NamespacedName,
    pub(super) version: Version,
    pub(super) effect: Effect,
    /// How many problems it has.
    pub(super) problems: usize,
    /// The first of them.
    pub(super) text: String,
}

/// Tells the versions of an object's spec apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: String,
    /// 0 for kinds that have none.
    pub(super) generation: i64,
}

/// What holds for such an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// What is not understood is left out.
    LeftOut,
    /// A policy whose pods are not known isolates all of its namespace.
    ClosesNamespace,
    /// It is only not understood whether a policy is to be enforced.
    Enforced,
    /// Each rule of a ClusterNetworkPolicy that is not understood is closed.
    ClosesRules,
    /// Nobody can say where it would hold.
    NotInForce,
    /// Its earlier version stays in force.
    Earlier,
}

impl Effect {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::LeftOut => "what is not understood is left out and allows nothing, the rest is enforced",
            Self::ClosesNamespace => {
                "which pods it selects is not understood, so it isolates every pod of its namespace and allows nothing"
            }
            Self::Enforced => "whether it is to be enforced is not understood, so it is",
            Self::ClosesRules => {
                "a rule that is not understood matches nothing where it accepts, and denies everything where it does not; \
                 the others are enforced"
            }
            Self::NotInForce => "which pods it is about, or when it is asked, is not understood, so it is not in force",
            Self::Earlier => "it cannot be read, so its earlier version stays in force",
        }
    }
}

impl Complaint {
    pub(super) fn new(id: NamespacedName, version: Version, effect: Effect, problems: &[Problem]) -> Self {
        Self { id, version, effect, problems: problems.len(), text: text(problems) }
    }
}

/// The first of these problems, in at most [`LONGEST`] bytes.
pub(super) fn text(problems: &[Problem]) -> String {
    some_of(problems, TOLD, LONGEST_PROBLEM, "; ")
}

/// Whose turn it is to be complained about.
#[derive(Debug)]
pub(super) struct Turns {
    objects: HashMap<NamespacedName, Turn>,
    /// When the first of them is over.
    next: Instant,
    /// What is logged of all of them.
    pub(super) lines: Lines,
}

#[derive(Debug)]
struct Turn {
    ends: Instant,
    newest: Option<Complaint>,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { objects: HashMap::new(), next: now + INTERVAL, lines: Lines::new(now) }
    }

    /// There is something to complain about: given back where it is to be said now.
    pub(super) fn raise(&mut self, complaint: Complaint, now: Instant) -> Option<Complaint> {
        let full = self.objects.len() >= WAITING;
        match self.objects.get_mut(&complaint.id) {
            Some(turn) if now < turn.ends => {
                turn.newest = Some(complaint);
                None
            }
            None if full => {
                self.lines.leave_out();
                None
            }
            _ => {
                self.begin(complaint.id.clone(), now);
                Some(complaint)
            }
        }
    }

    /// An object is as it should be: what was not said yet need not be.
    pub(super) fn resolve(&mut self, id: &NamespacedName) {
        if let Some(turn) = self.objects.get_mut(id) {
            turn.newest = None;
        }
    }

    /// What has waited long enough.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Complaint> {
        if now < self.next {
            return vec![];
        }
        let over = self.objects.extract_if(|_, turn| turn.ends <= now);
        let mut due: Vec<_> = over.filter_map(|(_, turn)| turn.newest).collect();
        due.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        self.next = self.objects.values().map(|turn| turn.ends).min().unwrap_or(now + INTERVAL);
        due.iter().for_each(|complaint| self.begin(complaint.id.clone(), now));
        due
    }

    fn begin(&mut self, id: NamespacedName, now: Instant) {
        let ends = now + INTERVAL;
        self.next = self.next.min(ends);
        self.objects.insert(id, Turn { ends, newest: None });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lines::LINES;

    fn complaint(name: &str, message: &str) -> Complaint {
        let problem = Problem { field: "spec".to_owned(), message: message.to_owned() };
        Complaint::new(NamespacedName::new("shop", name), Version::default(), Effect::LeftOut, &[problem])
    }

    fn texts(complaints: &[Complaint]) -> Vec<&str> {
        complaints.iter().map(|complaint| complaint.text.as_str()).collect()
    }

    #[test]
    fn it_is_short_whatever_the_object_holds() {
        let problem = Problem { field: "f".repeat(9000), message: "ä".repeat(9000) };
        let problems = vec![problem; 415];
        let complaint = Complaint::new(NamespacedName::new("a", "b"), Version::default(), Effect::LeftOut, &problems);
        assert!(complaint.text.len() <= LONGEST && complaint.text.ends_with("; and 412 more"), "{}", complaint.text);
        assert_eq!(complaint.problems, 415);
    }

    #[test]
    fn the_newest_waits_until_the_minute_is_over() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        assert!(turns.raise(complaint("a", "1"), start).is_some());
        for (second, message) in [(1, "2"), (59, "3")] {
            assert_eq!(turns.raise(complaint("a", message), start + Duration::from_secs(second)), None);
        }
        assert!(turns.raise(complaint("b", "1"), start + Duration::from_secs(30)).is_some(), "another object");
        assert_eq!(turns.due(start + INTERVAL - Duration::from_nanos(1)), []);
        assert_eq!(texts(&turns.due(start + INTERVAL)), ["spec: 3"]);
        assert_eq!(turns.raise(complaint("a", "4"), start + INTERVAL), None, "a new minute");
        turns.resolve(&complaint("a", "").id);
        assert_eq!(turns.due(start + 3 * INTERVAL), []);
        assert!(turns.objects.is_empty());
    }

    #[test]
    fn lines_are_bounded_and_counted() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        assert_eq!((0..500).filter(|_| turns.lines.may_log(start)).count(), LINES);
        assert_eq!(turns.lines.left_out(start), None);
        assert_eq!(turns.lines.left_out(start + INTERVAL), Some(500 - LINES));
        assert_eq!(turns.lines.left_out(start + INTERVAL), None);
        assert!(turns.lines.may_log(start + INTERVAL));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        let raised = (0..2 * WAITING).filter_map(|n| turns.raise(complaint(&n.to_string(), "1"), start));
        assert_eq!(raised.count(), WAITING);
        assert_eq!(turns.lines.left_out(start + INTERVAL), Some(WAITING));
    }
}
