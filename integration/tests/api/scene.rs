use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use palisade_integration::apiserver::{ClusterAgent, Labels, Site, deployed_rules};
use palisade_integration::netns::{Host, Place};
use palisade_integration::patience::LIMIT;
use palisade_integration::probe::{Family, Flow, Kind, Patience, probe};
use palisade_integration::steady::Stream;
use serde_json::{Value, json};

use super::{Context, Outcome};

/// The namespace in which everything happens, unless a test says otherwise.
pub(crate) const SHOP: &str = "shop";
/// The one port that policies allow, with every protocol.
const KINDS: [Kind; 2] = [Kind::Tcp(80), Kind::Udp(80)];
/// A small cluster: pods by their names, and the policy `web`, by which pods labelled `role=web` are reached only by
/// those labelled `role=friend`.
pub(crate) struct Scene<'c> {
    pub(crate) site: Site<'c>,
    hosts: BTreeMap<String, Host>,
    context: &'c Context,
}

impl<'c> Scene<'c> {
    /// The namespace and the policy, and agents that have synced.
    pub(crate) fn new(context: &'c Context, nodes: usize) -> Result<Self, Box<dyn Error>> {
        Self::at(context, Site::new(&context.pool, nodes, &deployed_rules()?)?)
    }

    /// The same at a site without agents.
    pub(crate) fn at(context: &'c Context, mut site: Site<'c>) -> Result<Self, Box<dyn Error>> {
        site.api.cluster().create_namespace(SHOP, &Labels::new())?;
        site.api.cluster().create::<NetworkPolicy>(&policy())?;
        site.start_agents(&context.program)?;
        Ok(Self { site, hosts: BTreeMap::new(), context })
    }

    /// A running pod of each name, which is its role too, on the first node.
    pub(crate) fn run_pods(&mut self, names: &[&str]) -> Outcome {
        names.iter().zip(2..).try_for_each(|(name, number)| self.run_pod(name, name, 0, number))
    }

    /// A running pod, `role=ROLE`, with a host on its node and both addresses of [`addresses`].
    pub(crate) fn run_pod(&mut self, name: &str, role: &str, node: usize, number: u8) -> Outcome {
        self.attach(name, Place::Behind(node), &addresses(number))?;
        self.create_pod(SHOP, name, role, node)?;
        self.report(name, "Running", &addresses(number))
    }

    /// A pod without status.
    pub(crate) fn create_pod(&self, namespace: &str, name: &str, role: &str, node: usize) -> Outcome {
        self.create_pod_with(namespace, name, role, node, &json!({}))
    }

    /// A pod without status, whose spec has more fields.
    pub(crate) fn create_pod_with(
        &self,
        namespace: &str,
        name: &str,
        role: &str,
        node: usize,
        spec: &Value,
    ) -> Outcome {
        let mut pod = json!({
            "metadata": {"namespace": namespace, "name": name, "labels": {"role": role}},
            "spec": {"nodeName": format!("node-{node}"), "containers": [{"name": "main", "image": "none"}]},
        });
        for (field, value) in spec.as_object().into_iter().flatten() {
            pod["spec"][field] = value.clone();
        }
        Ok(self.site.api.cluster().create::<Pod>(&pod).map(drop)?)
    }

    /// Pods that come before the others in a list, by their namespace.
    pub(crate) fn add_ballast(&self, pods: usize) -> Outcome {
        self.site.api.cluster().create_namespace("ballast", &Labels::new())?;
        (0..pods).try_for_each(|number| self.create_pod("ballast", &format!("pod-{number}"), "none", 0))
    }

    /// Reports the status of a pod in the shop.
    pub(crate) fn report(&self, name: &str, phase: &str, ips: &[IpAddr]) -> Outcome {
        Ok(self.site.api.cluster().set_pod_status(SHOP, name, phase, ips)?)
    }

    /// Labels a pod in the shop as `role=ROLE`.
    pub(crate) fn set_role(&self, name: &str, role: &str) -> Outcome {
        let patch = json!({"metadata": {"labels": {"role": role}}});
        Ok(self.site.api.cluster().patch::<Pod>(SHOP, name, &patch).map(drop)?)
    }

    /// A host, called `name` in [`expect`](Self::expect).
    pub(crate) fn attach(&mut self, name: &str, place: Place, addresses: &[IpAddr]) -> Outcome {
        let host = self.site.network.attach_one(place, addresses)?;
        self.hosts.insert(name.to_owned(), host);
        Ok(())
    }

    /// A stream of datagrams, to a port of its own.
    pub(crate) fn stream(&self, from: &str, to: &str, port: u16) -> Stream<'_> {
        Stream { from: &self.hosts[from], to: &self.hosts[to], family: Family::Ipv4, port }
    }

    /// Waits until each `(from, to, allowed)` is so, for TCP and UDP in both families, also when probed with patience: on a busy
    /// machine a short look takes a slow answer for none.
    pub(crate) fn expect(&mut self, flows: &[(&str, &str, bool)]) -> Outcome {
        let started = Instant::now();
        loop {
            let is_late = started.elapsed() >= LIMIT;
            if is_late || self.wrong(flows, Patience::SHORT)?.is_empty() {
                let wrong = self.wrong(flows, Patience::FULL)?;
                if wrong.is_empty() {
                    return Ok(());
                }
                if is_late {
                    return Err(format!("{}\n{}", wrong.join("\n"), self.logs()).into());
                }
            }
            self.check_agents()?;
        }
    }

    /// An error if an agent has ended.
    pub(crate) fn check_agents(&mut self) -> Outcome {
        Ok(self.site.agents.iter_mut().try_for_each(ClusterAgent::check)?)
    }

    /// Kills the agents and starts new ones, which may not find the API server yet.
    pub(crate) fn replace_agents(&mut self) -> Outcome {
        self.site.agents.clear();
        for node in self.site.network.nodes() {
            self.site.agents.push(ClusterAgent::start(&self.context.program, node, &self.site.kubeconfig)?);
        }
        Ok(())
    }

    /// The ends of the agents' logs.
    pub(crate) fn logs(&self) -> String {
        self.site.agents.iter().map(ClusterAgent::last_words).collect::<Vec<_>>().join("\n")
    }

    fn wrong(&self, flows: &[(&str, &str, bool)], patience: Patience) -> Result<Vec<String>, Box<dyn Error>> {
        let mut asked = Vec::new();
        for &(from, to, expected) in flows {
            let (from, to) = (&self.hosts[from], &self.hosts[to]);
            for family in [Family::Ipv4, Family::Ipv6] {
                if from.address(family).is_some() && to.address(family).is_some() {
                    asked.extend(KINDS.map(|kind| Flow { from, to, called: None, family, kind, expected }));
                }
            }
        }
        let answered = probe(&asked, patience)?;
        let wrong = asked.iter().zip(answered).filter(|(flow, answered)| flow.expected != *answered);
        Ok(wrong.map(|(flow, _)| self.describe(flow)).collect())
    }

    fn describe(&self, flow: &Flow<'_>) -> String {
        let name = |host: &Host| {
            let of = self.hosts.iter().find(|(_, known)| std::ptr::eq(*known, host));
            of.map_or("?", |(name, _)| name.as_str()).to_owned()
        };
        let Flow { from, to, family, kind, expected, .. } = flow;
        format!("{} -> {} {kind} {family}: allowed should be {expected}", name(from), name(to))
    }
}

/// The addresses of the pod of this number, in both families.
pub(crate) fn addresses(number: u8) -> [IpAddr; 2] {
    [IpAddr::from([10, 2, 0, number]), IpAddr::from([0xfd00, 0x10, 2, 0, 0, 0, 0, number.into()])]
}

/// `role=web` is reached by `role=friend`.
pub(crate) fn policy() -> Value {
    json!({
        "metadata": {"namespace": SHOP, "name": "web"},
        "spec": {
            "podSelector": {"matchLabels": {"role": "web"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}]}],
        },
    })
}
