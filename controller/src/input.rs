//! What sources send to the agent.

use palisade_model::Change;

/// What a source tells the agent.
#[derive(Debug)]
pub enum Input {
    /// What it saw, in order.
    Changes(Vec<Change>),
    /// All that there was at the start has been sent.
    Synced,
    /// The agent shall stop; what is enforced stays.
    Stop,
}
