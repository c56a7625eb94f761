//! Which agents there are, and which are wanted.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};
use palisade_model::{Labels, NamespacedName, workload};

use crate::cli::{AgentsArgs, FilterArgs, Named};
use crate::meant::{meant, meant_name};
use crate::source::Failure;

/// How many pods are listed at a time.
const PAGE: u32 = 500;

/// Where agents are, and whose nodes are wanted.
pub(super) struct Agents {
    client: Client,
    namespace: String,
    selector: String,
    filter: FilterArgs,
    all_nodes: bool,
    /// Whether it was said that it is not known which nodes are wanted.
    told: AtomicBool,
}

/// A node's agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Agent {
    pub(super) node: String,
    pub(super) pod: String,
}

impl Agents {
    pub(super) fn new(client: Client, agents: &AgentsArgs, filter: FilterArgs) -> Self {
        let AgentsArgs { all_nodes, agent_namespace, agent_selector } = agents.clone();
        let told = AtomicBool::new(false);
        Self { client, namespace: agent_namespace, selector: agent_selector, filter, all_nodes, told }
    }

    /// Those that are wanted: there is one at least.
    pub(super) async fn expect(&self) -> anyhow::Result<Vec<Agent>> {
        let wanted = self.wanted().await.with_context(|| format!("cannot list the agents in {}", self.namespace))?;
        if !wanted.is_empty() {
            return Ok(wanted);
        }
        if let Some(near) = self.meant().await {
            bail!("no agent is there that could be asked: {near}");
        }
        bail!(
            "no agent is there that could be asked: see --agent-namespace ({}) and --agent-selector ({}), and whether the pods that \
             --pod, --workload or --namespace name are there",
            self.namespace,
            self.selector
        )
    }

    /// The pods of agents.
    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The agents of the nodes that are wanted: those that run what the filters name, or all.
    pub(super) async fn wanted(&self) -> Result<Vec<Agent>, Failure> {
        let pods = list(&self.pods(), &ListParams::default().labels(&self.selector)).await?;
        let agents = pods.iter().filter_map(Agent::of);
        let Some(nodes) = self.nodes().await else { return Ok(agents.collect()) };
        Ok(agents.filter(|agent| nodes.contains(&agent.node)).collect())
    }

    /// The one of `node`, where there is one that runs.
    pub(super) async fn of_node(&self, node: &str) -> Result<Option<Agent>, Failure> {
        let on_node = ListParams::default().labels(&self.selector).fields(&format!("spec.nodeName={node}"));
        Ok(list(&self.pods(), &on_node).await?.iter().find_map(Agent::of))
    }

    /// Whom the filters name that is not there, and who was probably meant; `None` where that is not known.
    pub(super) async fn meant(&self) -> Option<String> {
        let FilterArgs { namespace, pod, workload: of_workload, .. } = &self.filter;
        let pods = list(&Api::all(self.client.clone()), &ListParams::default()).await.ok()?;
        let id = |pod: &Pod| {
            let ObjectMeta { name, namespace, .. } = &pod.metadata;
            NamespacedName::new(namespace.clone().unwrap_or_default(), name.clone().unwrap_or_default())
        };
        let pods_there: Vec<NamespacedName> = pods.iter().map(id).collect();
        let workloads: Vec<NamespacedName> = pods.iter().map(|pod| workload_of(&id(pod), pod)).collect();
        if let Some(name) = namespace.as_ref().filter(|name| !pods_there.iter().any(|id| *id.namespace == ***name)) {
            let near = meant(name, pods_there.iter().map(|id| id.namespace.to_string()));
            return Some(format!("there is no pod in namespace {name}{near}"));
        }
        let named = [("pod", pod, &pods_there), ("workload", of_workload, &workloads)];
        named.into_iter().find_map(|(kind, named, there)| {
            let named = named.as_ref()?;
            let of = |id: &&NamespacedName| {
                named.namespace.as_ref().or(namespace.as_ref()).is_none_or(|name| *id.namespace == **name)
            };
            if there.iter().filter(of).any(|id| *id.name == *named.name) {
                return None;
            }
            let near = match named.namespace.as_ref().or(namespace.as_ref()) {
                Some(namespace) => meant_name(&NamespacedName::new(&**namespace, &*named.name), there.iter()),
                None => meant(&named.name, there.iter().map(|id| id.name.to_string())),
            };
            Some(format!("there is no {kind} {named}{near}"))
        })
    }

    /// The nodes of the pods that the filters name; `None` where they name none, or that is not known.
    async fn nodes(&self) -> Option<BTreeSet<String>> {
        let FilterArgs { namespace, pod, workload, .. } = &self.filter;
        let named = [pod, workload].into_iter().flatten().collect::<Vec<_>>();
        if self.all_nodes || named.is_empty() && namespace.is_none() {
            return None;
        }
        let pods = match namespace.as_ref().or_else(|| named.iter().find_map(|named| named.namespace.as_ref())) {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        match list(&pods, &ListParams::default()).await {
            Ok(pods) => {
                let pods = pods.iter().filter(|pod| named.iter().all(|named| may_be(named, pod)));
                Some(pods.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect())
            }
            Err(error) => {
                if !self.told.swap(true, Relaxed) {
                    tracing::warn!(%error, "not known which nodes run what is asked for: all of them are asked");
                }
                None
            }
        }
    }
}

impl Agent {
    /// `None` for a pod that cannot be asked: it does not run.
    fn of(pod: &Pod) -> Option<Self> {
        let runs =
            pod.status.as_ref()?.phase.as_deref() == Some("Running") && pod.metadata.deletion_timestamp.is_none();
        let node = pod.spec.as_ref()?.node_name.clone()?;
        Some(Self { node, pod: pod.metadata.name.clone()? }).filter(|_| runs)
    }
}

/// Whether it is the pod, or may be one of the workload, of this name. The agents know better; here none may be missed.
fn may_be(named: &Named, pod: &Pod) -> bool {
    let rest = pod.metadata.name.as_deref().and_then(|name| name.strip_prefix(&*named.name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn workload_of(id: &NamespacedName, pod: &Pod) -> NamespacedName {
    let labels: Labels = pod.metadata.labels.clone().unwrap_or_default().into_iter().collect();
    NamespacedName::new(id.namespace.clone(), workload(&id.name, &labels))
}

async fn list(pods: &Api<Pod>, wanted: &ListParams) -> Result<Vec<Pod>, Failure> {
    let (mut found, mut page) = (Vec::new(), wanted.clone().limit(PAGE));
    loop {
        let list = pods.list(&page).await?;
        found.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}
