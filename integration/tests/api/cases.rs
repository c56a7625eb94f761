use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_integration::apiserver::{Mirror, Site, deployed_rules};
use palisade_integration::cases::{Case, Expectation, Hosts, LoadError, World, built_in, manifests};
use palisade_integration::probe::{Patience, probe};

use super::{Context, Outcome};

pub(crate) const PLACEMENTS: [(&str, usize); 2] = [("one-node", 1), ("two-nodes", 2)];

/// Of the cases that differ from others only in one policy, one in so many is played.
const STRIDE: usize = 6;

/// How long an agent may take to enforce a change, on a machine that is busy with other cases.
const LIMIT: Duration = Duration::from_secs(10);

/// Every case with several steps, IPv6, host network or named ports, and some of the others.
pub(crate) fn selected() -> Result<Vec<Arc<Case>>, LoadError> {
    let is_special = |case: &Case| {
        case.steps.len() > 1 || case.pods.iter().any(|pod| pod.host_network) || case.name.contains("named-port")
    };
    let cases = built_in()?.into_iter().filter(|case| !case.name.starts_with("cnp-")).enumerate();
    Ok(cases
        .filter(|(number, case)| number % STRIDE == 0 || is_special(case))
        .map(|(_, case)| Arc::new(case))
        .collect())
}

/// Plays a case: the cluster is there before the agents start; what happens in the steps they see as watch events.
pub(crate) fn play(context: &Context, case: &Case, nodes: usize) -> Outcome {
    let mut stage = Stage::set(context, case, nodes)?;
    for (number, step) in case.steps.iter().enumerate() {
        for action in &step.actions {
            stage.world.apply(action)?;
            stage.make_real()?;
        }
        let wrong = stage.settle(&step.expect)?;
        if !wrong.is_empty() {
            let logs: Vec<_> = stage.site.agents.iter().map(|agent| agent.last_words()).collect();
            return Err(format!("step {}: wrong: {}\n{}", number + 1, wrong.join("\n"), logs.join("\n")).into());
        }
    }
    Ok(())
}

struct Stage<'c> {
    site: Site<'c>,
    hosts: Hosts,
    world: World,
    mirror: Mirror,
}

impl<'c> Stage<'c> {
    fn set(context: &'c Context, case: &Case, nodes: usize) -> Result<Self, Box<dyn Error>> {
        let site = Site::new(&context.pool, nodes, &deployed_rules()?)?;
        let world = World::new(case, site.network.nodes());
        let mut stage = Self { site, hosts: Hosts::default(), world, mirror: Mirror::default() };
        stage.make_real()?;
        stage.site.start_agents(&context.program)?;
        Ok(stage)
    }

    /// Brings hosts and objects to what the world says: addresses work before they are published.
    fn make_real(&mut self) -> Outcome {
        self.hosts.follow(&self.world, &mut self.site.network)?;
        Ok(self.mirror.write(&self.site.api.cluster(), manifests(&self.world))?)
    }

    /// Probes until everything is as expected, then once more with patience; gives what is not.
    fn settle(&mut self, expected: &[Expectation]) -> Result<Vec<String>, Box<dyn Error>> {
        let started = Instant::now();
        while !self.wrong(expected, Patience::SHORT)?.is_empty() && started.elapsed() < LIMIT {
            self.site.agents.iter_mut().try_for_each(|agent| agent.check())?;
        }
        self.wrong(expected, Patience::FULL)
    }

    fn wrong(&self, expected: &[Expectation], patience: Patience) -> Result<Vec<String>, Box<dyn Error>> {
        let flow = |one| self.hosts.flow(&self.world, one);
        let flows = expected.iter().map(flow).collect::<Result<Vec<_>, _>>()?;
        let answered = probe(&flows, patience)?;
        let wrong = expected.iter().zip(answered).filter(|(one, answered)| one.allowed != *answered);
        Ok(wrong.map(|(one, answered)| format!("{one}: expected {}, got {answered}", one.allowed)).collect())
    }
}
