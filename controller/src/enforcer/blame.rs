//! Who is closed because the backend does not take what he needs.

use palisade_nft::{Backend, CommitError, Diff, Errno, Transaction};

use super::Enforcer;

/// How often in a row the backend refuses what it should take before whoever needs that is closed: it is not because of
/// somebody else who writes the table at the same time.
const REFUSALS: u32 = 2;

impl<B: Backend> Enforcer<B> {
    /// Where the backend does not take what was computed from what it holds, and not when that is tried again either, the
    /// namespace whose it is is closed; the most expensive, where that cannot be told.
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
        let of_operation = refused_object(error, step).map(|object| self.renderer.whose(&object));
        let whose = of_operation.filter(|whose| !whose.is_empty()).unwrap_or_else(|| self.renderer.whose(step));
        let open = whose.into_iter().filter(|namespace| !self.index.closed().any(|(closed, _)| closed == namespace));
        if let Some(namespace) = open.max_by_key(|namespace| self.index.cost(namespace).bytes) {
            self.index.refuse(&namespace);
        }
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
