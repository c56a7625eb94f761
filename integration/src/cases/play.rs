use std::fmt;
use std::path::Path;

use thiserror::Error;

use super::{Case, Expectation, Stage, StageError};
use crate::netns::Topology;
use crate::probe::Patience;

/// Why a case did not pass.
#[derive(Debug, Error)]
pub enum PlayError {
    /// Flows came out wrong.
    #[error("{} wrong flows:\n{}", .0.len(), lines(.0))]
    Wrong(Vec<WrongFlow>),
    /// The case could not be played.
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// A flow that is allowed where it should be denied, or the other way round.
#[derive(Clone, Debug)]
pub struct WrongFlow {
    /// The name of the case.
    pub case: String,
    /// The step, counted from 1.
    pub step: usize,
    /// What was expected.
    pub expectation: Expectation,
}

/// Plays a case on a network of its own, with an agent running `program` on each node. The cluster is there
/// before the agents start; what happens in the steps they see as changes.
///
/// # Errors
/// The flows that came out wrong, in all steps, or what kept the case from being played.
pub fn play(case: &Case, topology: impl Into<Topology>, program: &Path) -> Result<(), PlayError> {
    let mut stage = Stage::set(case, topology, program)?;
    let mut wrong = Vec::new();
    for (number, step) in case.steps.iter().enumerate() {
        step.actions.iter().try_for_each(|action| stage.apply(action))?;
        let answered = stage.probe(&step.expect, Patience::FULL)?;
        let unmet = step.expect.iter().zip(answered).filter(|(expectation, answered)| expectation.allowed != *answered);
        wrong.extend(unmet.map(|(expectation, _)| WrongFlow {
            case: case.name.clone(),
            step: number + 1,
            expectation: expectation.clone(),
        }));
    }
    stage.catch_up()?;
    if wrong.is_empty() { Ok(()) } else { Err(PlayError::Wrong(wrong)) }
}

fn lines(flows: &[WrongFlow]) -> String {
    flows.iter().map(WrongFlow::to_string).collect::<Vec<_>>().join("\n")
}

/// `CASE step 1: x/a -> y/b TCP 80 IPv4: expected denied, got allowed`.
impl fmt::Display for WrongFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, step, expectation } = self;
        let (expected, got) = if expectation.allowed { ("allowed", "denied") } else { ("denied", "allowed") };
        write!(f, "{case} step {step}: {expectation}: expected {expected}, got {got}")
    }
}
