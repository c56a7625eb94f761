//! The real Kubernetes API of these tests: does the harness do what it says?

#![allow(clippy::unwrap_used, reason = "a failing set-up fails the test")]

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Config, ResourceExt};
use palisade_integration::apiserver::{AGENT_ACCOUNT, AGENT_NAMESPACE, Fault, Labels, Pool, Site};
use serde_json::{Value, json};

/// How long an API server that works may take to answer, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

fn rules() -> Vec<Value> {
    vec![json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]})]
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
        "spec": {"nodeName": "node-0", "containers": [{"name": "main", "image": "none"}]},
    })
}

fn policy(selected: &str) -> Value {
    json!({"metadata": {"namespace": "shop", "name": "deny"}, "spec": {"podSelector": {"matchLabels": {"app": selected}}}})
}

/// How many pods the holder of the site's kubeconfig sees from node-0, or why none.
fn pods_seen(site: &Site<'_>) -> Result<usize, String> {
    let list = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kubeconfig = kube::config::Kubeconfig::read_from(site.kubeconfig.path()).unwrap();
            let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
            let pods = Api::<Pod>::all(Client::try_from(config).unwrap());
            let listed = tokio::time::timeout(ANSWER_LIMIT, async { pods.list(&ListParams::default()).await });
            let listed = listed.await.map_err(|_| "no answer".to_owned())?;
            listed.map(|pods| pods.items.len()).map_err(|error| error.to_string())
        })
    };
    site.network.nodes()[0].namespace().enter(list).unwrap()
}

#[test]
fn objects_are_written_as_a_cluster_writes_them() {
    let pool = Pool::default();
    let site = Site::new(&pool, 1, &rules()).unwrap();
    let cluster = site.api.cluster();
    cluster.create_namespace("shop", &Labels::from([("team".into(), "a".into())])).unwrap();
    cluster.create::<Pod>(&pod("web")).unwrap();
    let ips: [IpAddr; 2] = ["10.2.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
    cluster.set_pod_status("shop", "web", "Running", &ips).unwrap();
    cluster.create::<NetworkPolicy>(&policy("web")).unwrap();
    cluster.replace::<NetworkPolicy>(&policy("db")).unwrap();

    let seen: Pod = cluster.wait("get", async { cluster.of::<Pod>("shop").get("web").await }).unwrap();
    let status = seen.status.unwrap();
    assert_eq!((status.phase.as_deref(), status.pod_ips.unwrap().len()), (Some("Running"), 2));
    let policies = cluster.of::<NetworkPolicy>("shop");
    let listed = cluster.wait("list", async { policies.list(&ListParams::default()).await }).unwrap();
    let selected = listed.items[0].spec.as_ref().unwrap().pod_selector.as_ref().unwrap().match_labels.as_ref().unwrap();
    assert_eq!(selected["app"], "db");

    cluster.delete_namespace("shop").unwrap();
    let gone = cluster.wait("get", async { cluster.of::<Pod>("shop").get("web").await });
    assert!(gone.unwrap_err().to_string().contains("not found"));
    cluster.create_namespace("shop", &Labels::new()).unwrap();
}

/// As agents do, which say in its status what they make of it.
#[test]
fn a_cluster_policy_is_replaced_while_others_write_its_status() {
    const EDITS: u32 = 30;
    let pool = Pool::default();
    let api = pool.lease().unwrap();
    let (cluster, writer) = (api.cluster(), api.cluster());
    let policy = |priority: u32| {
        json!({
            "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": "admin"},
            "spec": {"tier": "Admin", "priority": priority, "subject": {"namespaces": {}}},
        })
    };
    cluster.create_cluster_policy(&policy(0)).unwrap();
    let (is_over, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let write = || {
        while !is_over.load(Ordering::Relaxed) {
            let number = written.fetch_add(1, Ordering::Relaxed);
            let condition = json!({
                "type": "Programmed", "status": "True", "reason": "Programmed", "message": number.to_string(),
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            let status = Patch::Merge(json!({"status": {"conditions": [condition]}}));
            let policies = writer.cluster_policies();
            let patch = async { policies.patch_status("admin", &PatchParams::default(), &status).await };
            writer.wait("write the status", patch).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let writing = scope.spawn(write);
        let replaced = (1..=EDITS).try_for_each(|priority| cluster.replace_cluster_policy(&policy(priority)));
        is_over.store(true, Ordering::Relaxed);
        writing.join().unwrap();
        replaced.unwrap();
    });
    let policies = cluster.cluster_policies();
    let seen = cluster.wait("get", async { policies.get("admin").await }).unwrap();
    assert_eq!(seen.data["spec"]["priority"], EDITS);
    assert!(written.into_inner() > 1);
}

#[test]
fn an_account_has_its_rights_and_no_others_until_its_token_expires() {
    let pool = Pool::default();
    let site = Site::new(&pool, 1, &rules()).unwrap();
    let cluster = site.api.cluster();
    cluster.create_namespace("shop", &Labels::new()).unwrap();
    cluster.create::<Pod>(&pod("web")).unwrap();
    assert_eq!(pods_seen(&site), Ok(1));
    cluster.unbind(AGENT_ACCOUNT).unwrap();
    eventually(|| pods_seen(&site).is_err_and(|error| error.contains("forbidden")));
    cluster.bind(AGENT_NAMESPACE, AGENT_ACCOUNT).unwrap();
    eventually(|| pods_seen(&site) == Ok(1));

    let listed = |code| {
        let requests = site.requests().unwrap();
        requests.iter().any(|one| (one.resource.as_str(), one.verb.as_str(), one.code) == ("pods", "list", code))
    };
    assert!(listed(200) && listed(403));

    let token = site.api.token(AGENT_NAMESPACE, AGENT_ACCOUNT, Duration::from_secs(1)).unwrap();
    site.kubeconfig.set_token(&token).unwrap();
    eventually(|| pods_seen(&site).is_err_and(|error| error.contains("Unauthorized")));
}

#[test]
fn the_way_to_it_breaks_and_heals() {
    let pool = Pool::default();
    let mut site = Site::new(&pool, 1, &rules()).unwrap();
    assert_eq!(pods_seen(&site), Ok(0));
    for fault in [Fault::Refuse, Fault::CutAfter(300), Fault::Slow(300), Fault::Hang] {
        site.proxy.set(fault);
        assert!(pods_seen(&site).is_err(), "{fault:?}");
        site.proxy.set(Fault::None);
        assert_eq!(pods_seen(&site), Ok(0), "after {fault:?}");
    }
    site.api.pause().unwrap();
    assert!(pods_seen(&site).is_err());
    site.api.resume().unwrap();
    assert_eq!(pods_seen(&site), Ok(0));

    site.api.cluster().create_namespace("shop", &Labels::new()).unwrap();
    site.api.cluster().create::<Pod>(&pod("web")).unwrap();
    site.api.kill();
    assert!(pods_seen(&site).is_err());
    site.api.start_again().unwrap();
    assert_eq!(pods_seen(&site), Ok(1), "what was written is still there");
}

#[test]
fn a_lease_begins_empty() {
    let pool = Pool::default();
    let first = pool.lease().unwrap();
    first.cluster().create_namespace("shop", &Labels::new()).unwrap();
    first.cluster().create::<Pod>(&pod("web")).unwrap();
    first.cluster().create::<NetworkPolicy>(&policy("web")).unwrap();
    drop(first);
    let started = Instant::now();
    let second = pool.lease().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "it is the same API server");
    let pods = Api::<Pod>::all(second.client());
    let left = second.block_on(async { pods.list(&ListParams::default()).await }).unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), [""; 0]);
    second.cluster().create_namespace("shop", &Labels::new()).unwrap();
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "not after 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}
