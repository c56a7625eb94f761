use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use palisade_integration::agent::binary;
use palisade_integration::apiserver::{
    AGENT_ACCOUNT, AGENT_NAMESPACE, ApiServer, CONTROL_PLANE, ClusterAgent, Labels, deployed_rules, has_table,
};
use palisade_integration::netns::{Host, Network, Place};
use serde_json::{Value, json};

use super::Outcome;

/// How many pods of the cluster are on the agent's node.
const LOCAL: usize = 100;
/// Pods and policies are spread over so many namespaces, or fewer if there are fewer pods.
const NAMESPACES: usize = 10_000;
const PODS_A_NAMESPACE: usize = 15;
/// Requests under way at once while filling.
const AT_ONCE: usize = 64;

/// The namespace in which things change.
pub(crate) const BENCH: &str = "bench";

/// What is in the API while changes are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) pods: usize,
    pub(crate) policies: usize,
}

/// A filled cluster, and an agent that has synced.
pub(crate) struct Bench {
    pub(crate) agent: ClusterAgent,
    pub(crate) hosts: Hosts,
    pub(crate) api: ApiServer,
    /// From the agent's start to its table: what does not depend on pods of other nodes is in force.
    pub(crate) early: Duration,
    /// From the start to when it enforces everything that is short.
    pub(crate) synced: Duration,
    started: Instant,
    _network: Network,
    _control_plane: Host,
}

/// Pods that really send and receive.
pub(crate) struct Hosts {
    /// On the agent's node.
    pub(crate) target: Host,
    /// On the agent's node; comes and goes.
    pub(crate) neighbour: Host,
    /// On another node; comes and goes.
    pub(crate) remote: Host,
    /// On another node; always there.
    pub(crate) client: Host,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (pods, policies) = text.split_once('/')?;
            Some(Self { pods: pods.parse().ok()?, policies: policies.parse().ok()? })
        };
        parse().ok_or_else(|| format!("{text} is not PODS/POLICIES, such as 1000/100"))
    }
}

/// Fills an API server, with what `more` writes besides, then starts the agent.
pub(crate) fn fill(size: Size, more: impl FnOnce(&ApiServer) -> Outcome) -> Outcome<Bench> {
    let mut network = Network::new(2)?;
    let control_plane = network.attach_one(Place::External, &[CONTROL_PLANE])?;
    let api = ApiServer::start(control_plane.namespace(), CONTROL_PLANE)?;
    let mut attach = |node, number| network.attach_one(Place::Behind(node), &[host_address(number)]);
    let hosts = Hosts { target: attach(0, 2)?, neighbour: attach(0, 3)?, remote: attach(1, 4)?, client: attach(1, 5)? };
    write_all(&api, size)?;
    more(&api)?;
    let cluster = api.cluster();
    cluster.create_namespace(AGENT_NAMESPACE, &Labels::new())?;
    cluster.grant(AGENT_NAMESPACE, AGENT_ACCOUNT, &deployed_rules()?)?;
    let token = api.token(AGENT_NAMESPACE, AGENT_ACCOUNT, Duration::from_secs(24 * 3600))?;
    let kubeconfig = api.kubeconfig("agent", &token)?;
    let node = &network.nodes()[0];
    let started = Instant::now();
    let mut agent = ClusterAgent::start(&binary()?, node, &kubeconfig)?;
    while !has_table(node)? {
        agent.check()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let early = started.elapsed();
    while !agent.is_enforcing() {
        agent.check()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let synced = started.elapsed();
    Ok(Bench { agent, hosts, api, early, synced, started, _network: network, _control_plane: control_plane })
}

impl Bench {
    /// Waits until the agent has nothing to do. Gives how long after its start that was.
    pub(crate) fn rest(&self) -> Outcome<Duration> {
        const QUIET: Duration = Duration::from_millis(300);
        const NOTHING: Duration = Duration::from_millis(3);
        loop {
            let (since, used) = (self.started.elapsed(), self.agent.usage()?.cpu);
            std::thread::sleep(QUIET);
            if self.agent.usage()?.cpu < used + NOTHING {
                return Ok(since);
            }
        }
    }
}

/// The address of the real pod of this number.
pub(crate) fn host_address(number: u8) -> IpAddr {
    IpAddr::from([10, 9, 0, number])
}

fn write_all(api: &ApiServer, size: Size) -> Outcome {
    let namespaces = (size.pods / PODS_A_NAMESPACE).clamp(1, NAMESPACES);
    let client = &api.client();
    let post = PostParams::default();
    api.block_on(async {
        let names = stream::iter(0..namespaces).map(|number| {
            let labels = json!({"team": format!("team-{}", number % 10)});
            let object: KubeNamespace = object(json!({"metadata": {"name": namespace(number), "labels": labels}}));
            let (api, post) = (Api::all(client.clone()), &post);
            async move { api.create(post, &object).await.map(drop) }
        });
        names.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let pods = stream::iter(0..size.pods).map(|number| write_pod(client, number, namespaces));
        pods.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let policies = stream::iter(0..size.policies).map(|number| {
            let api = Api::namespaced(client.clone(), &namespace(number % namespaces));
            let (object, post) = (object::<NetworkPolicy>(policy(number, namespaces)), &post);
            async move { api.create(post, &object).await.map(drop) }
        });
        policies.buffer_unordered(AT_ONCE).try_collect::<()>().await
    })?;
    Ok(())
}

async fn write_pod(client: &Client, number: usize, namespaces: usize) -> kube::Result<()> {
    let node = if number < LOCAL { "node-0".to_owned() } else { format!("node-{}", 1 + number / LOCAL) };
    let namespace = namespace(number % namespaces);
    let api = Api::<Pod>::namespaced(client.clone(), &namespace);
    let [_, high, middle, low] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    let ip = IpAddr::from([10, 16 + high, middle, low]);
    let name = format!("pod-{number}");
    let pod = object::<Pod>(json!({
        "metadata": {"name": name, "labels": {"app": format!("app-{}", number % 5), "release": "stable"}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none"}]},
    }));
    api.create(&PostParams::default(), &pod).await?;
    let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}});
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.map(drop)
}

/// Each selects a fifth of its namespace and admits a tenth of all namespaces, on a port of its own.
fn policy(number: usize, namespaces: usize) -> Value {
    json!({
        "metadata": {"name": format!("policy-{number}")},
        "spec": {
            "podSelector": {"matchLabels": {"app": format!("app-{}", number / namespaces % 5)}},
            "ingress": [{
                "from": [{
                    "namespaceSelector": {"matchLabels": {"team": format!("team-{}", number % 10)}},
                    "podSelector": {"matchLabels": {"app": format!("app-{}", (number + 1) % 5)}},
                }],
                "ports": [{"protocol": "TCP", "port": 1_000 + number % 60_000}],
            }],
        },
    })
}

pub(crate) fn namespace(number: usize) -> String {
    format!("load-{number}")
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("the benchmark writes objects of the kind that it says")
}
