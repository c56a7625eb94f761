//! A look at the connections: which, and what it comes to.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Instant;

use palisade_nft::{Connection, Conntrack, Outcome, Ruleset, Selection, WalkError, walk};

use super::scope::Scope;
use super::{CutError, Cuts};
use crate::render::CUT_MARK;

/// Which connections a look is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    All,
    Cut,
    /// Those with one of these ends.
    Ends(Vec<IpAddr>),
}

impl Look {
    pub(super) fn of(ends: &HashSet<IpAddr>) -> Self {
        let mut ends: Vec<_> = ends.iter().copied().collect();
        ends.sort_unstable();
        Self::Ends(ends)
    }

    /// What to list; of each list, connections with one of these ends have been in an earlier one.
    fn selections(&self) -> Vec<(Selection, &[IpAddr])> {
        match self {
            Self::All => vec![(Selection::All, &[])],
            Self::Cut => vec![(Selection::Marked(CUT_MARK), &[])],
            Self::Ends(ends) => (0..).zip(ends).map(|(i, end)| (Selection::Of(*end), &ends[..i])).collect(),
        }
    }
}

/// What a look came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) cuts: Cuts,
    /// How many connections are forbidden, whether they had been cut before or not.
    pub(super) forbidden: usize,
}

/// Takes looks.
pub(super) struct Looker {
    conntrack: Box<dyn Conntrack + Send>,
}

impl Looker {
    pub(super) fn new(conntrack: impl Conntrack + Send + 'static) -> Self {
        Self { conntrack: Box::new(conntrack) }
    }

    /// Judges the connections of `scope`, and those that are cut, by `ruleset`, and marks them accordingly.
    pub(super) fn take(&mut self, look: &Look, scope: &Scope, ruleset: &Ruleset) -> Result<Found, CutError> {
        let start = Instant::now();
        if *look != Look::Cut {
            self.conntrack.settle();
        }
        let judged = self.judge(look, scope, ruleset)?;
        let cut = self.conntrack.mark(&judged.cut, CUT_MARK, true)?;
        let restored = self.conntrack.mark(&judged.restore, CUT_MARK, false)?;
        let cuts = Cuts { judged: judged.count, cut, restored, elapsed: start.elapsed() };
        Ok(Found { cuts, forbidden: judged.forbidden })
    }

    fn judge(&mut self, look: &Look, scope: &Scope, ruleset: &Ruleset) -> Result<Judged, CutError> {
        let mut judged = Judged::default();
        let mut failure = None;
        for (selection, before) in look.selections() {
            self.conntrack.list(selection, &mut |connection| {
                let is_new = !before.contains(&connection.source) && !before.contains(&connection.destination);
                if is_new && (is_cut(&connection) || scope.concerns(&connection)) {
                    failure = judged.add(connection, ruleset).err().or(failure.take());
                }
            })?;
        }
        failure.map_or(Ok(judged), |failure| Err(failure.into()))
    }
}

/// What is to become of the connections that were judged.
#[derive(Default)]
struct Judged {
    count: usize,
    forbidden: usize,
    cut: Vec<Connection>,
    restore: Vec<Connection>,
}

impl Judged {
    fn add(&mut self, connection: Connection, ruleset: &Ruleset) -> Result<(), WalkError> {
        let forbidden = walk(ruleset, &connection.first_packet())?.verdict == Outcome::Drop;
        self.count += 1;
        self.forbidden += usize::from(forbidden);
        match (is_cut(&connection), forbidden) {
            (false, true) => self.cut.push(connection),
            (true, false) => self.restore.push(connection),
            (true, true) | (false, false) => {}
        }
        Ok(())
    }
}

pub(super) fn is_cut(connection: &Connection) -> bool {
    connection.mark & CUT_MARK != 0
}
