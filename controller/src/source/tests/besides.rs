//! What helps to check policies, of a cluster.

use serde_json::json;

use super::fake::{Answer, Api, page};
use crate::source::besides;

#[tokio::test]
async fn services_and_remarks_are_listed() {
    let api = Api::default();
    let service = json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"selector": {"app": "db"},
        "ports": [{"port": 80, "targetPort": "sql", "protocol": "TCP"}]}});
    let annotations = json!({"palisade.dev/lint-ignore": "two-peers"});
    let policies = [
        json!({"metadata": {"name": "a", "namespace": "shop", "annotations": annotations}, "spec": {"podSelector": {}}}),
        json!({"metadata": {"name": "b", "namespace": "shop"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
    ];
    api.script("services", [page(&[service], "1", "")]);
    api.script("networkpolicies", [page(&policies, "1", "")]);
    let ignoring = json!({"metadata": {"name": "lockdown", "annotations": annotations}, "spec": {}});
    api.script("clusternetworkpolicies", [page(&[ignoring], "1", "")]);
    let range = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "fd96::/112"]}});
    api.script("servicecidrs", [page(&[range], "1", ""), Answer::Status(404)]);
    let found = besides(api.client()).await.unwrap();
    assert_eq!(found.service_ranges.len(), 2);
    assert_eq!(found.services.keys().map(ToString::to_string).collect::<Vec<_>>(), ["shop/db"]);
    assert_eq!(found.remarks.keys().map(ToString::to_string).collect::<Vec<_>>(), ["lockdown", "shop/a", "shop/b"]);
    api.script("services", [page(&[], "1", "")]);
    api.script("networkpolicies", [page(&[], "1", "")]);
    api.script("clusternetworkpolicies", [Answer::Status(403)]);
    assert_eq!(besides(api.client()).await.unwrap().service_ranges, [], "an older API server knows none");
    api.script("networkpolicies", [Answer::Status(403)]);
    api.script("services", [page(&[], "1", "")]);
    assert!(besides(api.client()).await.is_err(), "who may not list policies is told so");
}
