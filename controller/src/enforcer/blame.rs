//! Who is closed because the backend does not take what he needs, and which cluster policies go back to what was in force.

use std::collections::BTreeSet;
use std::sync::Arc;

use palisade_nft::{Backend, CommitError, Diff, Errno, Transaction};

use super::Enforcer;

/// How often in a row the backend refuses what it should take before whoever needs that is closed: it is not because of
/// somebody else who writes the table at the same time.
const REFUSALS: u32 = 2;

impl<B: Backend> Enforcer<B> {
    /// Where the backend does not take what was computed from what it holds, and not when that is tried again either, the
    /// namespace whose it is is closed, or the cluster policy refused; the most expensive, where that cannot be told.
    pub(super) fn blame(&mut self, error: &CommitError, step: &Diff) {
        let is_too_much =
            |errno: Errno| matches!(errno.0, nix::libc::ENOMEM | nix::libc::EMSGSIZE | nix::libc::ENOBUFS);
        let is_refused = match error {
            CommitError::Refused { .. } => true,
            CommitError::Rejected { errno, .. } => is_too_much(*errno),
            CommitError::Owned { .. } | CommitError::Stale { .. } | CommitError::Unacknowledged { .. } => false,
        };
        self.refusals = if is_refused && self.compared { self.refusals + 1 } else { 0 };
        if self.refusals < REFUSALS {
            return;
        }
        let object = refused_object(error, step);
        for what in object.iter().chain([step]) {
            let is_closed = self.close(self.renderer.whose(what));
            if is_closed || self.index.refuse_cluster_policy(&self.renderer.whose_tiers(what)).is_some() {
                return;
            }
        }
    }

    /// Closes the most expensive of those that are not closed. Says whether there is one.
    fn close(&mut self, namespaces: BTreeSet<Arc<str>>) -> bool {
        let is_open = |namespace: &Arc<str>| !self.index.closed().any(|(closed, _)| closed == namespace);
        let open = namespaces.into_iter().filter(is_open);
        let most_expensive = open.max_by_key(|namespace| self.index.cost(namespace).bytes);
        most_expensive.inspect(|namespace| self.index.refuse(namespace)).is_some()
    }
}

/// The chain or set whose operation was refused.
fn refused_object(error: &CommitError, step: &Diff) -> Option<Diff> {
    let CommitError::Refused { index, operation, .. } = error else { return None };
    let refused = Transaction::from(step).operations.into_iter().nth(*index)?;
    if refused.to_string() != *operation {
        return None;
    }
    let mut object = Diff::default();
    let name = refused.object()?;
    object.chains.extend(step.chains.get_key_value(name).map(|(name, change)| (name.clone(), change.clone())));
    object.sets.extend(step.sets.get_key_value(name).map(|(name, change)| (name.clone(), change.clone())));
    Some(object)
}
