use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use palisade_integration::apiserver::{Mirror, Site, deployed_rules};
use palisade_integration::cases::{
    Case, Expectation, Hosts, LiveFlow, LoadError, World, built_in, manifests, wrong_connections,
};
use palisade_integration::patience::LIMIT;
use palisade_integration::probe::{Connection, Patience, probe};

use super::{Context, Outcome};

pub(crate) const PLACEMENTS: [(&str, usize); 2] = [("one-node", 1), ("two-nodes", 2)];

/// Of the cases that differ from others only in one policy, one in so many is played.
const STRIDE: usize = 6;

/// Tags cases whose objects an API server refuses: only manifests can hold them.
const UNKNOWN_FIELDS: &str = "unknown-fields";

/// Every case of ClusterNetworkPolicy that an API server lets be, every case with several steps, IPv6, host network or named
/// ports, and some of the others.
pub(crate) fn selected() -> Result<Vec<Arc<Case>>, LoadError> {
    let is_special = |case: &Case| {
        case.name.starts_with("cnp-")
            || case.steps.len() > 1
            || case.pods.iter().any(|pod| pod.host_network)
            || case.name.contains("named-port")
    };
    let served = |case: &Case| !case.tags.iter().any(|tag| tag == UNKNOWN_FIELDS);
    let cases = built_in()?.into_iter().filter(served).enumerate();
    Ok(cases
        .filter(|(number, case)| number % STRIDE == 0 || is_special(case))
        .map(|(_, case)| Arc::new(case))
        .collect())
}

/// Plays a case: the cluster is there before the agents start; what happens in the steps they see as watch events.
pub(crate) fn play(context: &Context, case: &Case, nodes: usize) -> Outcome {
    let mut stage = Stage::set(context, case, nodes)?;
    for (number, step) in case.steps.iter().enumerate() {
        let mut connections = stage.connect(&step.live)?;
        for action in &step.actions {
            stage.world.apply(action)?;
            stage.make_real()?;
        }
        let mut wrong = stage.settle(|stage, patience| stage.wrong(&step.expect, patience))?;
        let mut wrong_connections =
            |_: &Stage<'_>, patience| Ok(wrong_connections(&step.live, &mut connections, patience)?);
        wrong.extend(stage.settle(&mut wrong_connections)?);
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

    /// Makes the connections, which must be allowed now.
    fn connect(&self, flows: &[LiveFlow]) -> Result<Vec<Connection>, Box<dyn Error>> {
        flows.iter().map(|flow| Ok(Connection::open(&self.hosts.live(&self.world, flow)?)?)).collect()
    }

    /// Asks what is `wrong` until nothing is, also with patience; gives what is.
    fn settle(
        &mut self,
        mut wrong: impl FnMut(&Self, Patience) -> Result<Vec<String>, Box<dyn Error>>,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let started = Instant::now();
        loop {
            let is_late = started.elapsed() >= LIMIT;
            if is_late || wrong(self, Patience::SHORT)?.is_empty() {
                let found = wrong(self, Patience::FULL)?;
                if is_late || found.is_empty() {
                    return Ok(found);
                }
            }
            self.site.agents.iter_mut().try_for_each(|agent| agent.check())?;
        }
    }

    fn wrong(&self, expected: &[Expectation], patience: Patience) -> Result<Vec<String>, Box<dyn Error>> {
        let flow = |one| self.hosts.flow(&self.world, one);
        let flows = expected.iter().map(flow).collect::<Result<Vec<_>, _>>()?;
        let answered = probe(&flows, patience)?;
        let wrong = expected.iter().zip(answered).filter(|(one, answered)| one.allowed != *answered);
        Ok(wrong.map(|(one, answered)| format!("{one}: expected {}, got {answered}", one.allowed)).collect())
    }
}
