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
    api.script("networkpolicies", [page(&policies, "1", ""), Answer::Status(403)]);
    let found = besides(api.client()).await.unwrap();
    assert_eq!(found.services.keys().map(ToString::to_string).collect::<Vec<_>>(), ["shop/db"]);
    assert_eq!(found.remarks.keys().map(ToString::to_string).collect::<Vec<_>>(), ["shop/a", "shop/b"]);
    api.script("services", [page(&[], "1", "")]);
    assert!(besides(api.client()).await.is_err(), "who may not list policies is told so");
}
