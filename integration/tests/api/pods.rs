use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use palisade_integration::apiserver::Labels;
use palisade_integration::netns::Place;
use serde_json::json;

use super::scene::{SHOP, Scene, addresses};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// What pods do in clusters, by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a-peer-without-an-address-gets-one-later", peer_gets_address),
    ("an-isolated-pod-without-an-address-gets-one-later", target_gets_address),
    ("dual-stack-comes-family-by-family", dual_stack),
    ("host-network-pods-are-no-peers", host_network),
    ("finished-pods-have-no-address", finished),
    ("terminating-pods-keep-their-address", terminating),
    ("same-name-another-address", same_name),
    ("same-address-another-pod", same_address),
    ("same-address-in-one-second", same_second),
    ("a-namespace-goes-before-its-pods", namespace_goes),
];

/// A scene with `web`, a friend and a stranger, who are judged already.
fn start(context: &Context, nodes: usize) -> Result<Scene<'_>, Box<dyn std::error::Error>> {
    let mut scene = Scene::new(context, nodes)?;
    for (name, number) in [("web", 2), ("friend", 3), ("stranger", 4)] {
        scene.run_pod(name, name, 0, number)?;
    }
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])?;
    Ok(scene)
}

fn peer_gets_address(context: &Context) -> Outcome {
    let mut scene = start(context, 2)?;
    scene.attach("late", Place::Behind(1), &addresses(9))?;
    scene.create_pod(SHOP, "late", "friend", 1)?;
    scene.expect(&[("late", "web", false), ("friend", "web", true)])?;
    scene.report("late", "Running", &addresses(9))?;
    scene.expect(&[("late", "web", true), ("stranger", "web", false)])
}

fn target_gets_address(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    scene.attach("late", Place::Behind(0), &addresses(9))?;
    scene.create_pod(SHOP, "late", "web", 0)?;
    scene.expect(&[("stranger", "web", false)])?;
    scene.report("late", "Pending", &addresses(9))?;
    scene.expect(&[("stranger", "late", false), ("friend", "late", true)])
}

fn dual_stack(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    let [v4, v6] = addresses(9);
    scene.attach("late-v4", Place::Behind(0), &[v4])?;
    scene.attach("late-v6", Place::Behind(0), &[v6])?;
    scene.create_pod(SHOP, "late", "friend", 0)?;
    scene.report("late", "Running", &[v4])?;
    scene.expect(&[("late-v4", "web", true), ("late-v6", "web", false)])?;
    scene.report("late", "Running", &[v4, v6])?;
    scene.expect(&[("late-v4", "web", true), ("late-v6", "web", true)])?;
    scene.report("late", "Running", &[v6])?;
    scene.expect(&[("late-v4", "web", false), ("late-v6", "web", true)])
}

/// The other node's address is no friend's, although a pod with that label has it. Nor is such a pod isolated.
fn host_network(context: &Context) -> Outcome {
    let mut scene = start(context, 2)?;
    let ips: Vec<IpAddr> = scene.site.network.nodes()[1].addresses().to_vec();
    let own: Vec<IpAddr> = scene.site.network.nodes()[0].addresses().to_vec();
    for (name, role, node, ips) in
        [("far", "friend", 1, &ips), ("exposed", "web", 1, &ips), ("near", "stranger", 0, &own)]
    {
        scene.create_pod_with(SHOP, name, role, node, &json!({"hostNetwork": true}))?;
        scene.report(name, "Running", ips)?;
    }
    scene.attach("far", Place::OnNode(1), &ips)?;
    scene.attach("near", Place::OnNode(0), &own)?;
    scene.expect(&[("far", "web", false), ("near", "web", true), ("stranger", "far", true), ("friend", "web", true)])
}

fn finished(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    for (name, number, phase) in [("job", 9, "Succeeded"), ("crash", 10, "Failed")] {
        scene.run_pod(name, "friend", 0, number)?;
        scene.expect(&[(name, "web", true)])?;
        scene.report(name, phase, &addresses(number))?;
        scene.expect(&[(name, "web", false), ("friend", "web", true)])?;
    }
    Ok(())
}

fn terminating(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    let finalizers = json!({"metadata": {"finalizers": ["test.example/hold"]}});
    scene.site.api.cluster().patch::<Pod>(SHOP, "friend", &finalizers)?;
    scene.site.api.cluster().delete::<Pod>(SHOP, "friend")?;
    scene.site.api.cluster().terminate_pod(SHOP, "web")?;
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])?;
    scene.site.api.cluster().patch::<Pod>(SHOP, "friend", &json!({"metadata": {"finalizers": null}}))?;
    scene.expect(&[("friend", "web", false), ("stranger", "web", false)])
}

fn same_name(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    scene.attach("reborn", Place::Behind(0), &addresses(9))?;
    scene.site.api.cluster().delete::<Pod>(SHOP, "friend")?;
    scene.create_pod(SHOP, "friend", "friend", 0)?;
    scene.report("friend", "Running", &addresses(9))?;
    scene.expect(&[("reborn", "web", true), ("friend", "web", false)])
}

/// The address of a friend goes to a stranger while the friend is still there, and back.
fn same_address(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    sleep(Duration::from_millis(1_100));
    scene.create_pod(SHOP, "heir", "stranger", 0)?;
    scene.report("heir", "Running", &addresses(3))?;
    scene.expect(&[("friend", "web", false)])?;
    scene.site.api.cluster().delete::<Pod>(SHOP, "heir")?;
    scene.expect(&[("friend", "web", true)])?;
    sleep(Duration::from_millis(1_100));
    scene.create_pod(SHOP, "second-heir", "stranger", 0)?;
    scene.report("second-heir", "Running", &addresses(3))?;
    scene.expect(&[("friend", "web", false)])?;
    scene.report("second-heir", "Failed", &addresses(3))?;
    scene.expect(&[("friend", "web", true)])
}

/// Creation times have whole seconds: these two are equal. The one that came later owns the address.
fn same_second(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    for (number, roles, allowed) in [(9, ["friend", "stranger"], false), (10, ["stranger", "friend"], true)] {
        let host = format!("shared-{number}");
        scene.attach(&host, Place::Behind(0), &addresses(number))?;
        let names = ["b", "a"].map(|name| format!("{name}-{number}"));
        wait_for_a_new_second();
        for (name, role) in names.iter().zip(roles) {
            scene.create_pod(SHOP, name, role, 0)?;
            scene.report(name, "Running", &addresses(number))?;
        }
        let created = |name: &String| {
            let cluster = scene.site.api.cluster();
            cluster.wait("get a pod", async { cluster.of::<Pod>(SHOP).get(name).await })
        };
        let [first, second] = [created(&names[0])?, created(&names[1])?].map(|pod| pod.metadata.creation_timestamp);
        assert_eq!(first, second, "the test was too slow to create both in one second");
        scene.expect(&[(&host, "web", allowed)])?;
        scene.replace_agents()?;
        scene.expect(&[(&host, "web", allowed)])?;
    }
    Ok(())
}

fn wait_for_a_new_second() {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    sleep(Duration::from_millis(1_010 - u64::from(since.subsec_millis())));
}

/// Without its namespace a pod has no namespace labels.
fn namespace_goes(context: &Context) -> Outcome {
    let mut scene = start(context, 1)?;
    let cluster = scene.site.api.cluster();
    cluster.create_namespace("allies", &Labels::from([("ally".into(), "yes".into())]))?;
    cluster.create::<NetworkPolicy>(&json!({
        "metadata": {"namespace": SHOP, "name": "allies"},
        "spec": {
            "podSelector": {"matchLabels": {"role": "web"}},
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"ally": "yes"}}}]}],
        },
    }))?;
    scene.attach("ally", Place::Behind(0), &addresses(9))?;
    scene.create_pod("allies", "ally", "none", 0)?;
    scene.site.api.cluster().set_pod_status("allies", "ally", "Running", &addresses(9))?;
    scene.expect(&[("ally", "web", true), ("stranger", "web", false)])?;
    scene.site.api.cluster().terminate_namespace("allies")?;
    scene.expect(&[("ally", "web", true)])?;
    scene.site.api.cluster().finalize_namespace("allies")?;
    scene.expect(&[("ally", "web", false), ("friend", "web", true)])?;
    scene.site.api.cluster().delete::<Pod>("allies", "ally")?;
    scene.expect(&[("ally", "web", false), ("friend", "web", true)])
}
