use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_integration::apiserver::{Mirror, Site, deployed_rules};
use palisade_integration::cases::{Case, Expectation, LoadError, Resident, World, built_in, manifests};
use palisade_integration::netns::Host;
use palisade_integration::probe::{Flow, Patience, probe};

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
    let cases = built_in()?.into_iter().enumerate();
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
    hosts: BTreeMap<String, (Resident, Host)>,
    world: World,
    mirror: Mirror,
}

impl<'c> Stage<'c> {
    fn set(context: &'c Context, case: &Case, nodes: usize) -> Result<Self, Box<dyn Error>> {
        let site = Site::new(&context.pool, nodes, &deployed_rules()?)?;
        let world = World::new(case, site.network.nodes());
        let mut stage = Self { site, hosts: BTreeMap::new(), world, mirror: Mirror::default() };
        stage.make_real()?;
        stage.site.start_agents(&context.program)?;
        Ok(stage)
    }

    /// Brings hosts and objects to what the world says: addresses work before they are published.
    fn make_real(&mut self) -> Outcome {
        let wanted = self.world.residents();
        for (name, (resident, host)) in std::mem::take(&mut self.hosts) {
            if wanted.get(&name) == Some(&resident) {
                self.hosts.insert(name, (resident, host));
            } else {
                host.detach()?;
            }
        }
        let new: Vec<_> = wanted.into_iter().filter(|(name, _)| !self.hosts.contains_key(name)).collect();
        let specs: Vec<_> = new.iter().map(|(_, resident)| (resident.place, resident.addresses.clone())).collect();
        let hosts = self.site.network.attach(&specs)?;
        self.hosts.extend(new.into_iter().zip(hosts).map(|((name, resident), host)| (name, (resident, host))));
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
        let flows = expected.iter().map(|one| self.flow(one)).collect::<Result<Vec<_>, _>>()?;
        let answered = probe(&flows, patience)?;
        let wrong = expected.iter().zip(answered).filter(|(one, answered)| one.allowed != *answered);
        Ok(wrong.map(|(one, answered)| format!("{one}: expected {}, got {answered}", one.allowed)).collect())
    }

    fn flow(&self, expectation: &Expectation) -> Result<Flow<'_>, String> {
        let host = |name: &String| match self.hosts.get(name) {
            Some((_, host)) => Ok(host),
            None => Err(format!("{expectation}: there is no {name}, or it has finished")),
        };
        let Expectation { from, to, kind, family, allowed } = expectation;
        Ok(Flow { from: host(from)?, to: host(to)?, family: *family, kind: *kind, expected: *allowed })
    }
}
