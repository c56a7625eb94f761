use std::collections::BTreeMap;
use std::fmt::Write;

use thiserror::Error;

use super::world::Translation;
use super::{Expectation, LiveFlow, Resident, World};
use crate::netns::{Host, NetnsError, Network};
use crate::probe::{Family, Flow, Kind};

/// An expectation names a host that there is not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{flow}: there is no {host}, or it has finished")]
pub struct NoHost {
    /// The expectation.
    flow: String,
    /// The host.
    host: String,
}

/// The hosts of a world made real on a network, and the addresses of its Services.
#[derive(Debug, Default)]
pub struct Hosts {
    attached: BTreeMap<String, (Resident, Host)>,
    translations: Vec<Translation>,
}

impl Hosts {
    /// Makes them those of `world`.
    ///
    /// # Errors
    /// Where the network cannot be changed.
    pub fn follow(&mut self, world: &World, network: &mut Network) -> Result<(), NetnsError> {
        let wanted = world.residents();
        for (name, (resident, host)) in std::mem::take(&mut self.attached) {
            if wanted.get(&name) == Some(&resident) {
                self.attached.insert(name, (resident, host));
            } else {
                host.detach()?;
            }
        }
        let new: Vec<_> = wanted.into_iter().filter(|(name, _)| !self.attached.contains_key(name)).collect();
        let specs: Vec<_> = new.iter().map(|(_, resident)| (resident.place, resident.addresses.clone())).collect();
        let hosts = network.attach(&specs)?;
        self.attached.extend(new.into_iter().zip(hosts).map(|((name, resident), host)| (name, (resident, host))));
        let translations = world.translations();
        if translations != self.translations {
            let ruleset = ruleset(&translations);
            network.nodes().iter().try_for_each(|node| node.namespace().nft(&ruleset))?;
            self.translations = translations;
        }
        Ok(())
    }

    /// The question that an expectation answers.
    ///
    /// # Errors
    /// Where one of its hosts is not there.
    pub fn flow(&self, world: &World, expectation: &Expectation) -> Result<Flow<'_>, NoHost> {
        let Expectation { from, to, kind, family, allowed } = expectation;
        self.between(world, [from, to], (*kind, *family, *allowed)).map_err(|host| no_host(expectation, host))
    }

    /// The connection that a live flow is.
    ///
    /// # Errors
    /// Where one of its hosts is not there.
    pub fn live(&self, world: &World, live: &LiveFlow) -> Result<Flow<'_>, NoHost> {
        let LiveFlow { from, to, port, family, survives, .. } = live;
        let found = self.between(world, [from, to], (Kind::Tcp(*port), *family, *survives));
        found.map_err(|host| no_host(live, host))
    }

    /// The flow between two names, or the one that is not there.
    fn between(
        &self,
        world: &World,
        [from, to]: [&String; 2],
        (kind, family, expected): (Kind, Family, bool),
    ) -> Result<Flow<'_>, String> {
        let host = |name: &String| match self.attached.get(&world.host_of(name)) {
            Some((_, host)) => Ok(host),
            None => Err(name.clone()),
        };
        Ok(Flow { from: host(from)?, to: host(to)?, called: world.service_address(to), family, kind, expected })
    }
}

fn no_host(flow: &impl ToString, host: String) -> NoHost {
    NoHost { flow: flow.to_string(), host }
}

/// What a node translates, as kube-proxy does: the destination before it routes, and the source of a pod that reaches
/// itself after all filters.
fn ruleset(translations: &[Translation]) -> String {
    let (mut destinations, mut sources) = (String::new(), String::new());
    for Translation { service, pod } in translations {
        let family = if pod.is_ipv6() { "ip6" } else { "ip" };
        let _ = writeln!(destinations, "{family} daddr {service} dnat {family} to {pod}");
        let _ = writeln!(sources, "{family} saddr {pod} {family} daddr {pod} ct status dnat masquerade");
    }
    format!(
        "table inet services {{}}
        delete table inet services
        table inet services {{
            chain prerouting {{ type nat hook prerouting priority dstnat; {destinations} }}
            chain postrouting {{ type nat hook postrouting priority srcnat; {sources} }}
        }}"
    )
}
