use tokio::sync::mpsc;

use super::*;
use crate::shares::{ClosedNamespace, Over};
use crate::source::tell_closings;
use fake::Answer;

/// The two policies that cost most, of which one is gone by the time that it is looked up.
#[tokio::test(start_paused = true)]
async fn a_closed_namespace_is_told_on_its_policies() {
    let api = Api::default();
    let found = |items: Value| {
        Answer::Json(
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {}, "items": items}),
        )
    };
    let policy = json!({"metadata": {"name": "dear", "namespace": "shop", "uid": "u-1", "generation": 7}});
    api.script("networkpolicies", [found(json!([policy])), found(json!([]))]);
    api.otherwise("events", Answer::Status(409));
    let (sender, receiver) = mpsc::channel(1);
    let told = tokio::spawn(tell_closings(api.client(), "n1".to_owned(), receiver));
    let policies = vec!["dear".to_owned(), "gone".to_owned()];
    let closed = ClosedNamespace { namespace: "shop".to_owned(), over: Over::Share, costs: Vec::new(), policies };
    sender.send(closed).await.unwrap();
    sleep(Duration::from_secs(120)).await;
    let asked = api.asked("networkpolicies");
    let names: Vec<&str> = asked.iter().map(|one| one.query["fieldSelector"].as_str()).collect();
    assert_eq!(names, ["metadata.name%3Ddear", "metadata.name%3Dgone"]);
    let events = api.asked("events");
    assert_eq!(events.len(), 1);
    let event: Value = serde_json::from_slice(&events[0].body).unwrap();
    assert_eq!((&event["reason"], &event["type"]), (&json!("NamespaceClosed"), &json!("Warning")));
    assert_eq!(event["regarding"]["uid"], "u-1");
    drop(sender);
    told.await.unwrap();
}
