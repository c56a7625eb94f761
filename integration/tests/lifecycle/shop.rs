//! Manifests of a small shop, as seen from `node-a`.

/// The namespaces `shop` and `office`; in `shop` the local `web` and `db`, and `cache` elsewhere; in `office` a remote
/// `desk`; and what each policy kind can say about them.
pub(crate) fn shop() -> String {
    objects(&[
        &namespace("shop", "{team: sales}"),
        &namespace("office", "{team: support}"),
        &pod("shop", "web", "node-a", &["10.0.0.1", "fd00::1"]),
        &pod("shop", "db", "node-a", &["10.0.0.2", "fd00::2"]),
        &pod("shop", "cache", "node-b", &["10.0.1.1", "fd00:1::1"]),
        &pod("office", "desk", "node-b", &["10.0.1.2"]),
        &policy("shop", "deny-all", "{podSelector: {}, policyTypes: [Ingress]}"),
        &policy(
            "shop",
            "db",
            "{podSelector: {matchLabels: {app: db}}, ingress: [
              {from: [{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: cache}}}], ports: [{port: 5432}]},
              {from: [{namespaceSelector: {matchLabels: {team: support}}}], ports: [{port: 22}]}]}",
        ),
    ])
}

/// [`shop`] with `object` besides.
pub(crate) fn shop_and(object: &str) -> String {
    objects(&[&shop(), object])
}

/// [`shop`], in which `from`, which is in there, is replaced.
#[track_caller]
pub(crate) fn shop_with(from: &str, to: &str) -> String {
    let (before, after) = (shop(), shop().replace(from, to));
    assert_ne!(before, after, "`{from}` is not there");
    after
}

pub(crate) fn objects(objects: &[&str]) -> String {
    objects.join("\n---\n")
}

pub(crate) fn namespace(name: &str, labels: &str) -> String {
    format!("{{kind: Namespace, apiVersion: v1, metadata: {{name: {name}, labels: {labels}}}}}")
}

/// A pod that is labelled `app: NAME` and has the port `main`, 8080.
pub(crate) fn pod(namespace: &str, name: &str, node: &str, addresses: &[&str]) -> String {
    let addresses: Vec<String> = addresses.iter().map(|address| format!("{{ip: '{address}'}}")).collect();
    format!(
        "{{kind: Pod, apiVersion: v1, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}, \
         spec: {{nodeName: {node}, containers: [{{name: c, ports: [{{name: main, containerPort: 8080}}]}}]}}, \
         status: {{podIPs: [{}]}}}}",
        addresses.join(", ")
    )
}

pub(crate) fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {spec}}}"
    )
}
