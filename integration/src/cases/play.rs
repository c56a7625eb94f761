use std::fmt;
use std::path::Path;

use thiserror::Error;

use super::{Case, Expectation, LiveFlow, Stage, StageError, Step};
use crate::netns::Topology;
use crate::probe::{Connection, Patience, ProbeError, talk};

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
    /// The flow, what was expected of it, and what it got instead.
    pub what: String,
}

/// Plays a case on a network of its own, with an agent running `program` on each node. The cluster is there
/// before the agents start; what happens in the steps they see as changes.
///
/// # Errors
/// The flows that came out wrong, in all steps, or what kept the case from being played.
pub fn play(case: &Case, topology: impl Into<Topology>, program: &Path) -> Result<(), PlayError> {
    let mut stage = Stage::set(case, topology, program)?;
    perform(&mut stage, case, &case.steps)?;
    Ok(stage.catch_up()?)
}

/// Plays a case where nobody enforces anything, and everything must get through: that the packets which it needs can get
/// where they must be denied.
///
/// # Errors
/// The flows that came out wrong, in all steps, or what kept the case from being played.
pub fn play_open(case: &Case, topology: impl Into<Topology>) -> Result<(), PlayError> {
    let mut steps = case.steps.clone();
    for step in &mut steps {
        step.expect.iter_mut().for_each(|expectation| expectation.allowed = true);
        step.live.iter_mut().for_each(|flow| flow.survives = true);
    }
    perform(&mut Stage::without_agents(case, topology)?, case, &steps)
}

fn perform(stage: &mut Stage, case: &Case, steps: &[Step]) -> Result<(), PlayError> {
    let mut wrong = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let mut connections = stage.connect(&step.live)?;
        step.actions.iter().try_for_each(|action| stage.apply(action))?;
        stage.catch_up()?;
        let mut found = wrong_connections(&step.live, &mut connections, Patience::FULL).map_err(StageError::from)?;
        let answered = stage.probe(&step.expect, Patience::FULL)?;
        let unmet = step.expect.iter().zip(answered).filter(|(expectation, answered)| expectation.allowed != *answered);
        found.extend(unmet.map(|(expectation, _)| complaint(expectation)));
        wrong.extend(found.into_iter().map(|what| WrongFlow { case: case.name.clone(), step: number + 1, what }));
    }
    if wrong.is_empty() { Ok(()) } else { Err(PlayError::Wrong(wrong)) }
}

/// What is wrong with the connections that were made for these flows, a line each.
///
/// # Errors
/// Where sockets cannot be used at all.
pub fn wrong_connections(
    flows: &[LiveFlow],
    connections: &mut [Connection],
    patience: Patience,
) -> Result<Vec<String>, ProbeError> {
    let mut asked: Vec<_> = connections.iter_mut().zip(flows).map(|(one, flow)| (one, flow.survives)).collect();
    let heard = talk(&mut asked, patience)?;
    let wrong = flows.iter().zip(heard).filter(|(flow, heard)| *heard != [flow.survives; 2]);
    Ok(wrong
        .map(|(flow, [client, server])| {
            let expected = if flow.survives { "both ends heard" } else { "neither end heard" };
            format!("{flow}: expected {expected}, got client {client}, server {server}")
        })
        .collect())
}

fn complaint(expectation: &Expectation) -> String {
    let (expected, got) = if expectation.allowed { ("allowed", "denied") } else { ("denied", "allowed") };
    format!("{expectation}: expected {expected}, got {got}")
}

fn lines(flows: &[WrongFlow]) -> String {
    flows.iter().map(WrongFlow::to_string).collect::<Vec<_>>().join("\n")
}

/// `CASE step 1: x/a -> y/b TCP 80 IPv4: expected denied, got allowed`.
impl fmt::Display for WrongFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, step, what } = self;
        write!(f, "{case} step {step}: {what}")
    }
}
