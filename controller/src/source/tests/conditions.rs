//! What one agent of all writes into the status of ClusterNetworkPolicies.

use super::cluster_policies::{annotated, listed, of_networks, policy, serving};
use super::fake::{Answer, Api, Step, event};
use super::*;

/// Longer than any agent waits before it writes.
const AWHILE: Duration = Duration::from_secs(15);

fn lease(holder: &str, version: u32) -> Answer {
    let metadata = json!({"name": "palisade", "resourceVersion": version.to_string()});
    let spec =
        json!({"holderIdentity": holder, "leaseDurationSeconds": 30, "renewTime": "2026-01-01T00:00:00.000000Z"});
    Answer::Json(json!({"metadata": metadata, "spec": spec}))
}

/// An API server with these policies, and a Lease that nobody holds.
fn with_policies(policies: &[Value], steps: impl IntoIterator<Item = Step>) -> Api {
    let api = serving(&["v1alpha2"]);
    api.script("clusternetworkpolicies", [listed(policies, steps)]);
    api.otherwise("palisade", lease("", 3)).otherwise("status", Answer::Json(of_networks("admin", 1)));
    api
}

fn with_condition(mut policy: Value, status: &str, message: &str) -> Value {
    let generation = policy["metadata"]["generation"].clone();
    let condition = json!({
        "type": "palisade.dev/Accepted", "status": status, "reason": "Accepted", "message": message,
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    policy["metadata"]["resourceVersion"] = json!("99");
    policy["status"] = json!({"conditions": [condition]});
    policy
}

/// The conditions that were written: each one's status, reason, generation and message.
fn written(api: &Api) -> Vec<String> {
    let one = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        let condition = &body["status"]["conditions"][0];
        let field = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
        assert!(condition["lastTransitionTime"].is_string() && body["metadata"]["uid"].is_string(), "{body}");
        format!("{} {} {} {}", field("status"), field("reason"), condition["observedGeneration"], field("message"))
    };
    api.asked("status").iter().map(|asked| one(&asked.body)).collect()
}

/// Who is written into the Lease, in order.
fn holders(api: &Api) -> Vec<String> {
    let asked = [api.asked("leases"), api.asked("palisade")].concat();
    let bodies = asked.iter().filter(|asked| !asked.body.is_empty());
    let holder = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["spec"]["holderIdentity"].clone();
    bodies.map(|asked| holder(&asked.body).as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_version_of_a_policy_is_judged_by_who_holds_the_lease() {
    let better = Step::Line(json!({"type": "MODIFIED", "object": of_networks("admin", 2)}));
    let api = with_policies(
        &[policy("admin", 1, &json!({"domainNames": ["example.com"]}))],
        [Step::Pause(AWHILE), better, Step::Hold],
    );
    let mut source = Source::start(&api);
    source.within(AWHILE).await;
    let said = written(&api);
    assert!(said[0].starts_with("False Unsupported 1 spec.egress[0].to[0].domainNames: "), "{said:?}");
    assert!(said.iter().all(|again| *again == said[0]), "{said:?}");
    let held = holders(&api);
    assert!(held[0].starts_with("n1_") && held.last().unwrap().is_empty(), "taken, and given back: {held:?}");
    source.within(AWHILE).await;
    assert_eq!(written(&api).last().unwrap(), "True Accepted 2 all rules are enforced as they are written");
}

/// No generation comes with an annotation.
#[tokio::test(start_paused = true)]
async fn a_policy_that_comes_to_be_audited_is_soon_judged_again() {
    let shown = with_condition(of_networks("admin", 1), "True", "all rules are enforced as they are written");
    let audited = annotated(shown.clone(), "audit");
    let api = with_policies(&[shown], [Step::Pause(AWHILE), event("MODIFIED", &audited), Step::Hold]);
    let mut source = Source::start(&api);
    source.within(AWHILE).await;
    assert_eq!(written(&api), [""; 0]);
    source.within(AWHILE).await;
    let said = written(&api);
    assert!(said[0].starts_with("True Audited 1 all rules are understood, and none is enforced"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_mistake_is_named_with_its_rule() {
    let peer = json!({"namespaces": {"matchExpressions": [{"key": "a", "operator": "Inn"}]}});
    let api = with_policies(&[policy("admin", 1, &peer)], [Step::Hold]);
    let mut source = Source::start(&api);
    source.within(AWHILE).await;
    let said = written(&api);
    assert!(said[0].starts_with("False Invalid 1 spec.egress[0].to[0].namespaces"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_not_written_and_nobody_asks_for_the_lease() {
    let right = with_condition(of_networks("admin", 1), "True", "all rules are enforced as they are written");
    let api = with_policies(&[right], [Step::Hold]);
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(3600)).await;
    assert!(written(&api).is_empty() && api.asked("palisade").is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_judgement_of_the_same_version_is_contradicted_rarely() {
    let other = with_condition(of_networks("admin", 1), "False", "this agent is older");
    let api = with_policies(&[other], [Step::Hold]);
    let mut source = Source::start(&api);
    source.within(Duration::from_secs(290)).await;
    assert!(written(&api).is_empty());
    source.within(Duration::from_secs(630)).await;
    assert!(!written(&api).is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_another_holds_the_lease_nothing_is_written() {
    let shown = with_condition(of_networks("admin", 1), "True", "all rules are enforced as they are written");
    let api = with_policies(&[of_networks("admin", 1)], [Step::Pause(AWHILE), event("MODIFIED", &shown), Step::Hold]);
    api.otherwise("palisade", lease("n2", 3));
    let mut source = Source::start(&api);
    source.within(AWHILE).await;
    let asked = api.asked("palisade").len();
    assert_ne!(asked, 0);
    source.within(Duration::from_secs(3600)).await;
    assert_eq!(api.asked("palisade").len(), asked, "the other has written, and nobody asks again");
    assert!(written(&api).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_renewed_passes_on() {
    let api = with_policies(&[of_networks("admin", 1)], [Step::Hold]);
    api.script("palisade", [lease("n2", 3), lease("n2", 4)]).otherwise("palisade", lease("n2", 4));
    let mut source = Source::start(&api);
    source.within(2 * AWHILE).await;
    assert!(written(&api).is_empty());
    source.within(30 * AWHILE).await;
    assert!(!written(&api).is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_or_the_right_to_it_everything_else_goes_on() {
    let created = lease("n1", 1);
    for (found, writes) in [(Answer::Status(404), true), (Answer::Status(403), false)] {
        let api = with_policies(&[of_networks("admin", 1)], [Step::Hold]);
        api.otherwise("palisade", found).otherwise("leases", created.clone());
        let mut source = Source::start(&api);
        assert_eq!(source.within(AWHILE).await, "+admin synced");
        assert_eq!(!written(&api).is_empty(), writes);
    }
}
