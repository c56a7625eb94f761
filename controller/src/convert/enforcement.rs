//! The annotation that says whether a policy only watches.

use palisade_model::Enforcement;

use super::{Problem, Problems};
use crate::objects::Metadata;

/// Where it is.
const FIELD: &str = "metadata.annotations[palisade.dev/enforcement]";

/// What the policy with this metadata does. What is not understood never widens: such a policy is enforced.
pub(super) fn enforcement(metadata: &Metadata, problems: &mut Problems) -> Enforcement {
    match metadata.annotations.as_ref().and_then(|annotations| annotations.enforcement.as_deref()) {
        None | Some("enforce") => Enforcement::Enforced,
        Some("audit") => Enforcement::Audited,
        Some(other) => {
            problems.add(FIELD, format!("{other:?} is not one of audit, enforce: write one of them, or leave it out"));
            Enforcement::Enforced
        }
    }
}

impl Problem {
    /// Whether it is only not understood whether the policy is to be enforced, which it is then.
    pub(crate) fn is_of_enforcement(&self) -> bool {
        self.field == FIELD
    }
}
