//! Tenants who write what is as bad as can be, again and again: what those of the benchmark `tenants` do, over the API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use palisade_integration::apiserver::ApiServer;
use serde_json::{Value, json};

use super::Outcome;
use super::fill::{Size, namespace};

/// How many there are. Each has a pod on the agent's node.
const TENANTS: usize = 50;
/// Elements of a namespace's share, with some room.
const ELEMENTS: usize = 800_000;

/// What tenants write in turn.
pub(crate) struct Tenants {
    versions: Vec<[Value; 2]>,
}

impl Tenants {
    /// As many as there are namespaces with pods on the node.
    pub(crate) fn of(size: Size) -> Self {
        let versions = |tenant: usize| {
            let policy = |part: usize| match tenant % 4 {
                0 => policy(tenant, (0..ELEMENTS / size.pods * part / 100).map(|n| rule(tenant, n))),
                1 => policy(tenant, (0..430 * part / 100).map(nested)),
                2 => policy(tenant, [ports(19_000 * part / 100)].into_iter()),
                _ => policy(tenant, (0..1_000 * part / 100).map(|n| rule(tenant, n))),
            };
            [policy(100), policy(90)]
        };
        Self { versions: (0..TENANTS).map(versions).collect() }
    }

    /// The first version of each.
    pub(crate) fn write(&self, api: &ApiServer) -> Outcome {
        self.versions.iter().try_for_each(|[first, _]| Ok(api.cluster().create::<NetworkPolicy>(first).map(drop)?))
    }

    /// Writes as fast as the API takes it while `work` is done. Says how often.
    pub(crate) fn write_while<T>(&self, api: &ApiServer, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, usize)> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let versions = |number| self.versions.iter().map(move |versions| &versions[number]);
                let rounds = versions(1).chain(versions(0)).cycle();
                let mut written = 0;
                for policy in rounds.take_while(|_| !done.load(Ordering::Relaxed)) {
                    api.cluster().replace::<NetworkPolicy>(policy).map_err(|error| error.to_string())?;
                    written += 1;
                }
                Ok::<_, String>(written)
            });
            let result = work();
            done.store(true, Ordering::Relaxed);
            let written = writer.join().map_err(|_| "the writer panicked")??;
            Ok((result?, written))
        })
    }
}

fn policy(tenant: usize, rules: impl Iterator<Item = Value>) -> Value {
    json!({
        "metadata": {"namespace": namespace(tenant), "name": "hostile"},
        "spec": {"podSelector": {}, "ingress": rules.collect::<Vec<_>>()},
    })
}

/// All pods of the cluster, at a port of its own.
fn rule(tenant: usize, number: usize) -> Value {
    let nobody = json!([{"key": "app", "operator": "NotIn", "values": [format!("{tenant}-{number}")]}]);
    json!({
        "from": [{"namespaceSelector": {}, "podSelector": {"matchExpressions": nobody}}],
        "ports": [{"port": 1_000 + number}],
    })
}

/// Within the ports of the one before, from pods of its own.
fn nested(number: usize) -> Value {
    json!({
        "from": [{"podSelector": {"matchLabels": {"app": format!("own-{number}")}}}],
        "ports": [{"port": 1 + number, "endPort": 65_535 - number}],
    })
}

fn ports(count: usize) -> Value {
    let ports: Vec<_> = (0..count).map(|number| json!({"port": 1 + 2 * number})).collect();
    json!({"from": [{"podSelector": {"matchLabels": {"app": "app-0"}}}], "ports": ports})
}
