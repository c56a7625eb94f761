use std::fs;
use std::os::unix::fs::symlink;

use palisade_model as model;
use palisade_model::Peers;
use tempfile::TempDir;

use super::*;

const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: front}}
    ports:
    - port: 80
";
const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web-1}, status: {podIPs: [{ip: 10.0.0.1}]}}";

const ENFORCEMENT: &str = "metadata.annotations[palisade.dev/enforcement]";

/// What one file holds.
fn one(text: &str) -> Result<Manifests, ReadErrors> {
    parse(Path::new("dir"), &[("f.yaml".into(), text.into())], "n1")
}

/// The one thing that is wrong with one file.
fn wrong(text: &str) -> ReadError {
    let ReadErrors(errors) = one(text).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

/// The names of the pods in a directory.
fn pods(dir: &Path) -> Vec<String> {
    read(dir, "n1").unwrap().pods.keys().map(ToString::to_string).collect()
}

fn pod(name: &str) -> String {
    POD.replace("web-1", name)
}

#[test]
fn documents_lists_and_json_give_the_same_objects() {
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    let documents = one(&format!("# a comment\n---\n{namespace}\n---\n---\n{POD}\n---{POLICY}")).unwrap();
    let policy = serde_json::to_string_pretty(&serde_saphyr::from_str::<serde_json::Value>(POLICY).unwrap()).unwrap();
    let list = one(&format!("{{apiVersion: v1, kind: List, items: [{namespace}, {POD}, {policy}]}}")).unwrap();
    assert_eq!(documents, list);
    let typed = "{apiVersion: v1, kind: PodList, items: [{metadata: {name: web-1}, status: {podIP: 10.0.0.1}}]}";
    assert_eq!(one(typed).unwrap().pods, list.pods);
    let json = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"web-1\"},\
        \n\t\"status\": {\"podIP\": \"10.0.0.1\"}\n}\n";
    assert_eq!(one(json).unwrap().pods, list.pods);
    assert_eq!((list.namespaces.len(), list.pods.len(), list.policies.len()), (1, 1, 1));
}

#[test]
fn namespace_and_node_have_defaults() {
    let manifests = one(POD).unwrap();
    let pod = &manifests.pods[&NamespacedName::new("default", "web-1")];
    assert_eq!(pod.node.as_deref(), Some("n1"));
    let bound = one(&POD.replace("status:", "spec: {nodeName: n2}, status:")).unwrap();
    assert_eq!(bound.pods.values().next().unwrap().node.as_deref(), Some("n2"));
    let policy = one(&POLICY.replace(", namespace: shop", "")).unwrap();
    let rules = policy.policies[&NamespacedName::new("default", "web")].ingress.clone().unwrap();
    let Peers::AnyOf(peers) = &rules[0].peers else { panic!("{rules:?}") };
    assert!(format!("{peers:?}").contains("default"), "peers of the policy's own namespace: {peers:?}");
}

#[test]
fn other_kinds_are_skipped_and_counted() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: x}}";
    let calico = "{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: a}, spec: {order: 1}}";
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {1: 2, x: .nan}}";
    let volumes = "{apiVersion: v1, kind: PersistentVolumeList, items: [{}]}";
    let manifests = one(&[deployment, deployment, calico, config, volumes].join("\n---\n")).unwrap();
    let skipped: Vec<(&str, usize)> = manifests.skipped.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(skipped, [("ConfigMap", 1), ("Deployment", 2), ("NetworkPolicy", 1), ("PersistentVolumeList", 1)]);
    assert!(manifests.policies.is_empty());
}

/// What is wrong with them changes nothing of what is enforced.
#[test]
fn services_and_templates_are_read_besides() {
    let service =
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: s}, spec: {selector: {app: a}, ports: [
        {port: 80, targetPort: http}, {name: x, port: 81, protocol: UDP}, {port: 82, targetPort: '8082'}]}}";
    let wrong = "{apiVersion: v1, kind: Service, metadata: {name: b, namespace: s}, spec: {ports: [{port: x}]}}";
    let template =
        "template: {metadata: {labels: {app: a}}, spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}}";
    let set = format!(
        "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: a, namespace: s}}, spec: {{{template}}}}}"
    );
    let job = format!(
        "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: j}}, spec: {{jobTemplate: {{spec: {{{template}}}}}}}}}"
    );
    let knative = set.replace("apps/v1", "serving.knative.dev/v1");
    let besides = one(&[service, wrong, &set, &job, &knative].join("\n---\n")).unwrap().besides;
    let [service] = &besides.services.values().collect::<Vec<_>>()[..] else { panic!("{besides:?}") };
    assert_eq!(service.selector.as_ref().unwrap().to_string(), "app=a");
    let ports: Vec<String> =
        service.ports.iter().map(|port| format!("{} {} {:?}", port.protocol, port.port, port.target)).collect();
    assert_eq!(ports, ["TCP 80 Named(\"http\")", "UDP 81 Number(81)", "TCP 82 Number(8082)"]);
    let pods: Vec<String> = besides
        .templates
        .values()
        .map(|pod| format!("{} {:?}", pod.id, pod.numbers_of("http", model::Protocol::Tcp)))
        .collect();
    assert_eq!(pods, ["default/j [8080]", "s/a [8080]"]);
    let errors: Vec<String> = besides.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "f.yaml:4 (document 2): Service s/b: spec.ports[0].port: must be a whole number, but is the text \"x\": leave the quotes out"
        ]
    );
}

#[test]
fn remarks_of_policies_are_kept() {
    let types = POLICY.replace("  ingress:", "  policyTypes: [Egress]\n  ingress:");
    let text = types.replace(
        "namespace: shop}",
        "namespace: shop, annotations: {palisade.dev/lint-ignore: 'two-peers,, service-port '}}",
    );
    let besides = one(&text).unwrap().besides;
    let [remarks] = &besides.remarks.values().collect::<Vec<_>>()[..] else { panic!("{besides:?}") };
    assert_eq!(remarks.ignored.iter().map(|code| &**code).collect::<Vec<_>>(), ["service-port", "two-peers"]);
    assert_eq!(remarks.without_type, [model::Direction::Ingress]);
    assert_eq!(remarks.without_rules, [model::Direction::Egress]);
    assert!(one(POLICY).unwrap().besides.remarks.is_empty());
    let sending = POLICY.replace("ingress:", "egress:").replace("from:", "to:");
    let besides = one(&sending).unwrap().besides;
    let [remarks] = &besides.remarks.values().collect::<Vec<_>>()[..] else { panic!("{besides:?}") };
    assert_eq!(remarks.without_rules, [model::Direction::Ingress], "where no type is written, that one counts");
    let denying = POLICY.replace("  ingress:", "  policyTypes: [Ingress, Egress]\n  egress: []\n  ingress:");
    assert!(one(&denying).unwrap().besides.remarks.is_empty(), "an empty list is meant");
}

#[test]
fn fields_that_policy_does_not_read_may_hold_anything() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a, uid: 1, annotations: [odd]}, \
        spec: {nodeName: null, containers: [{name: c, resources: {limits: {cpu: 1}}}], novelty: {}}, status: null}";
    assert_eq!(one(pod).unwrap().pods.len(), 1);
}

#[test]
fn an_error_says_where_what_and_what_to_do() {
    let error = wrong(&format!("{POD}\n---{}", POLICY.replace("- port: 80", "- port: 80\n      endport: 90")));
    let expected = "f.yaml:13 (document 2): NetworkPolicy shop/web: spec.ingress[0].ports[0].endport: \
        is no field of a NetworkPolicy: did you mean endPort?";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_a_policy_does_not_know_is_refused_and_named() {
    for (from, to, field, message) in [
        ("podSelector: {matchLabels: {app: web}}", "podSelecter: {}", "spec.podSelecter", "did you mean podSelector?"),
        ("  ingress:", "  Ingress:", "spec.Ingress", "did you mean ingress?"),
        ("  - from:", "  - form:", "spec.ingress[0].form", "did you mean from?"),
        ("  - from:", "  - to:", "spec.ingress[0].to", "known here are from, ports"),
        ("matchLabels: {app: front}", "app: front", "spec.ingress[0].from[0].podSelector.app", "known here are"),
        ("- port: 80", "- port: [80]", "spec.ingress[0].ports[0].port", "a whole number or a name, but is a list"),
        ("- port: 80", "- port: 8.5", "spec.ingress[0].ports[0].port", "but is the number 8.5"),
        ("- port: 80", "- port: 99999999999", "spec.ingress[0].ports[0].port", "99999999999"),
        ("- port: 80", "- port: 99999", "spec.ingress[0].ports[0].port", "99999 is not a port"),
        ("- port: 80", "- port: \"80\"", "spec.ingress[0].ports[0].port", "without quotes"),
        ("- port: 80", "- {port: 80, endPort: \"90\"}", "spec.ingress[0].ports[0].endPort", "leave the quotes out"),
        ("- port: 80", "- 80", "spec.ingress[0].ports[0]", "a map ({} for an empty one), but is the number 80"),
        ("- port: 80", "-", "spec.ingress[0].ports[0]", "but is nothing"),
        ("- port: 80", "- null", "spec.ingress[0].ports[0]", "but is null"),
        ("{app: front}", "{app: true}", "spec.ingress[0].from[0].podSelector.matchLabels[app]", "put it in quotes"),
        ("{app: front}", "{app: }", "spec.ingress[0].from[0].podSelector.matchLabels[app]", "is nothing"),
        ("spec:", "Spec:", "spec", "is missing"),
        ("spec:", "extra: {}\nspec:", "extra", "is no field"),
        ("metadata:", "kind: X\nmetadata:", "", "duplicate mapping key"),
        ("/v1", "/v1beta1", "kind", "use networking.k8s.io/v1"),
        ("networking.k8s.io/v1", "extensions/v1beta1", "kind", "use networking.k8s.io/v1"),
        ("kind: NetworkPolicy", "kind: NetworkPolcy", "kind", "did you mean NetworkPolicy?"),
        ("kind: NetworkPolicy", "kind: networkpolicy", "kind", "did you mean NetworkPolicy?"),
        ("kind: NetworkPolicy", "kind: Netw", "kind", "did you mean NetworkPolicy?"),
        ("kind: NetworkPolicy", "kind: [x]", "kind", "is missing"),
        ("kind: NetworkPolicy\n", "", "kind", "is missing"),
        ("apiVersion: networking.k8s.io/v1\n", "", "apiVersion", "is missing"),
        ("name: web, ", "", "metadata.name", "is missing"),
        ("name: web, ", "name: 7, ", "metadata.name", "is not text"),
        ("name: web, ", "name: w/b, ", "metadata.name", "\"w/b\" is not a valid name"),
        ("namespace: shop", "namespace: 7", "metadata.namespace", "must be text"),
        ("namespace: shop", "namespace: ''", "metadata.namespace", "\"\" is not a valid name"),
        (
            "namespace: shop",
            "annotations: {palisade.dev/enforcement: true}",
            "metadata.annotations.palisade.dev/enforcement",
            "put it in quotes",
        ),
        ("namespace: shop", "annotations: []", "metadata.annotations", "a map"),
        ("namespace: shop", "creationTimestamp: soon", "metadata.creationTimestamp", "NetworkPolicy has"),
    ] {
        let text = POLICY.replacen(from, to, 1);
        assert_ne!(text, POLICY, "{from}");
        let error = wrong(&text);
        assert_eq!(error.field.as_deref().unwrap_or_default(), field, "{to}: {error}");
        assert!(error.message.contains(message), "{to}: {error}");
    }
}

#[test]
fn a_policy_may_be_audited() {
    let with = |annotations: &str, text: &str| {
        one(&text.replacen("metadata: {", &format!("metadata: {{annotations: {annotations}, "), 1))
    };
    let audit = "{other: [1], palisade.dev/enforcement: audit}";
    let policies = with(audit, POLICY).unwrap().policies;
    assert_eq!(policies.values().map(|policy| policy.is_audited()).collect::<Vec<_>>(), [true]);
    let cluster_policy = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, \
        metadata: {name: lockdown}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}}";
    let policies = with(audit, cluster_policy).unwrap().cluster_policies;
    assert_eq!(policies.values().map(|policy| policy.is_audited()).collect::<Vec<_>>(), [true]);
    for text in [POLICY, cluster_policy] {
        let manifests = with("{palisade.dev/enforcement: adit}", text).unwrap();
        let policies = manifests.policies.values().map(|policy| policy.is_audited());
        let audited = policies.chain(manifests.cluster_policies.values().map(|policy| policy.is_audited()));
        assert_eq!(audited.collect::<Vec<_>>(), [false], "what is not understood is enforced");
        let hints = manifests.hints("node-1");
        let is_told =
            |hint: &String| hint.contains(ENFORCEMENT) && hint.contains("\"adit\"") && hint.contains("is enforced");
        assert!(hints.iter().any(is_told), "{hints:?}");
    }
}

#[test]
fn a_field_left_without_a_value_is_refused_in_a_policy() {
    for field in ["podSelector", "ingress", "egress", "policyTypes"] {
        let text = format!("{}spec:\n  {field}:\n", POLICY.split_once("spec:").unwrap().0);
        assert_eq!(wrong(&text).field, Some(format!("spec.{field}")));
    }
    let null = POLICY.replace("podSelector: {matchLabels: {app: web}}", "podSelector: null");
    assert!(one(&null).is_ok(), "a null that is written out is what the API server takes for a missing field");
}

#[test]
fn all_errors_are_told_together() {
    let broken = POLICY.replace("app: front", "app: x-").replace("80", "0");
    let bad_ip = pod("a").replace("10.0.0.1", "10.0.0.x");
    let text = format!("{broken}---\n{{a: 1, a: 2}}\n---\n{}\n---\n{bad_ip}\n---\nkind: [", pod("UPPER"));
    let ReadErrors(errors) = one(&text).unwrap_err();
    let fields: Vec<(Option<usize>, &str)> =
        errors.iter().map(|error| (error.place.document, error.field.as_deref().unwrap_or_default())).collect();
    let expected = [
        (Some(1), "spec.ingress[0].from[0].podSelector.matchLabels[app]"),
        (Some(1), "spec.ingress[0].ports[0].port"),
        (Some(2), ""),
        (Some(3), "metadata.name"),
        (Some(4), "status.podIPs[0].ip"),
        (Some(5), ""),
    ];
    assert_eq!(fields, expected, "{errors:?}");
    assert_eq!(ReadErrors(errors.clone()).to_string().lines().count(), errors.len());
}

#[test]
fn an_object_defined_twice_names_both_places() {
    let first = (PathBuf::from("a.yaml"), format!("{POD}\n"));
    let second = (PathBuf::from("b.yaml"), format!("\n\n{POD}\n"));
    let ReadErrors(errors) = parse(Path::new("dir"), &[first, second], "n1").unwrap_err();
    let expected = "b.yaml:3 (document 1): Pod default/web-1: \
        is defined twice, first at a.yaml:1 (document 1): remove one of them";
    assert_eq!(errors[0].to_string(), expected);
    assert!(one(&format!("{POD}\n---\n{}", POD.replace("kind: Pod", "kind: Namespace"))).is_ok(), "of two kinds");
}

#[test]
fn lists_name_the_item() {
    let missing = "{apiVersion: v1, kind: List, items: [{kind: Pod, apiVersion: v1, metadata: {}}]}";
    assert_eq!(wrong(missing).field.as_deref(), Some("metadata.name"));
    assert_eq!(wrong("{apiVersion: v1, kind: List}").field.as_deref(), Some("items"));
    assert_eq!(wrong("{apiVersion: v1, kind: PodList, items: }").field.as_deref(), Some("items"));
    assert_eq!(wrong("{apiVersion: v1, kind: List, items: [{metadata: {name: a}}]}").field.as_deref(), Some("kind"));
    assert!(one("{apiVersion: v1, kind: List, items: []}").unwrap().pods.is_empty());
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["text", "- a\n- b", "7", "a: b", "{", "\"", "a: *b", "a: &a [*a]", "\t", "%YAML 9", "\u{0}"] {
        assert!(one(text).is_err(), "{text:?}");
    }
    assert!(wrong("").message.contains("is empty"));
    assert!(wrong("# nothing\n---\n").message.contains("holds no object"));
}

#[test]
fn aliases_and_nesting_are_limited() {
    let levels = (1..30).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1));
    let laughs = format!("a0: &a0 [x, x, x]\n{}{POD}", levels.collect::<String>());
    assert!(one(&laughs).is_err());
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        assert!(one(&format!("{}x{}", open.repeat(100_000), close.repeat(100_000))).is_err());
    }
    assert!(one(&"- ".repeat(100_000)).is_err());
}

#[test]
fn a_policy_may_use_anchors() {
    let text = POLICY.replace("{app: web}", "&l {app: web}").replace("{app: front}", "*l");
    assert_eq!(one(&text).unwrap().policies.len(), 1);
}

#[test]
fn changes_lead_from_old_to_new() {
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    let old = one(&format!("{POD}\n---\n{}\n---{POLICY}", pod("web-2"))).unwrap();
    let new = one(&format!("{namespace}\n---\n{POD}\n---\n{}", pod("web-3"))).unwrap();
    let id = |namespace: &str, name: &str| NamespacedName::new(namespace, name);
    let expected = [
        Change::Namespace(new.namespaces["shop"].clone()),
        Change::Pod(new.pods[&id("default", "web-3")].clone()),
        Change::PodGone(id("default", "web-2")),
        Change::PolicyGone(id("shop", "web")),
    ];
    let mut known = Known::default();
    assert_eq!(known.follow(old.clone()), old.into_changes().collect::<Vec<_>>());
    assert_eq!(known.follow(new.clone()), expected);
    assert_eq!(known.follow(new), []);
    let relabelled = one(&POD.replace("name: web-1", "name: web-1, labels: {a: b}")).unwrap();
    let mut known = Known::default();
    known.follow(one(POD).unwrap());
    assert_eq!(known.follow(relabelled).len(), 1);
}

#[test]
fn a_directory_is_read_with_all_below_it() {
    let (a, b, c) = (pod("a"), pod("b"), pod("c"));
    let dir = directory(&[
        ("a.yaml", &a),
        ("x/y/b.yml", &b),
        ("x/c.json", r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}"#),
        ("README.md", "{{"),
        ("a.yaml~", &c),
        (".a.yaml.swp", &c),
        (".git/c.yaml", &c),
        ("#c.yaml#", &c),
    ]);
    assert_eq!(pods(dir.path()), ["default/a", "default/b", "default/c"]);
}

#[test]
fn a_mounted_config_map_is_read_once() {
    let dir = directory(&[("..2026_1/a.yaml", &pod("a")), ("..2026_1/sub/b.yaml", &pod("b"))]);
    symlink("..2026_1", dir.path().join("..data")).unwrap();
    symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
    symlink("..data/sub", dir.path().join("sub")).unwrap();
    assert_eq!(pods(dir.path()), ["default/a", "default/b"]);
}

#[test]
fn links_in_circles_or_to_one_file_are_read_once() {
    let dir = directory(&[("a.yaml", &pod("a")), ("x/b.yaml", &pod("b"))]);
    symlink("a.yaml", dir.path().join("again.yaml")).unwrap();
    symlink("..", dir.path().join("x/up")).unwrap();
    symlink("self", dir.path().join("self")).unwrap();
    assert_eq!(pods(dir.path()), ["default/a", "default/b"]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let broken = |name: &str, dir: &TempDir| {
        let ReadErrors(errors) = read(dir.path(), "n1").unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].place.file.ends_with(name), "{errors:?}");
        errors[0].message.clone()
    };
    let dir = directory(&[("a.yaml", &pod("a"))]);
    symlink("nowhere", dir.path().join("dangling.yaml")).unwrap();
    assert!(broken("dangling.yaml", &dir).contains("cannot be read"));
    let dir = directory(&[("a.yaml", &pod("a"))]);
    fs::write(dir.path().join("latin.yaml"), b"a: \xe9").unwrap();
    assert!(broken("latin.yaml", &dir).contains("UTF-8"));
    let dir = directory(&[("a.yaml", &pod("a"))]);
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s.yaml")).unwrap();
    assert!(broken("s.yaml", &dir).contains("no regular file"));
    let dir = directory(&[("README.md", "")]);
    assert!(broken("", &dir).contains("no manifest"));
    let missing = read(Path::new("/nonexistent/manifests"), "n1").unwrap_err();
    assert!(missing.to_string().starts_with("/nonexistent/manifests: cannot be read"), "{missing}");
    assert!(read(&directory(&[("a.yaml", "")]).path().join("a.yaml"), "n1").is_err(), "a file is no directory");
}

#[test]
fn one_unreadable_file_hides_no_other_error() {
    let dir = directory(&[("a.yaml", "kind: [")]);
    symlink("nowhere", dir.path().join("b.yaml")).unwrap();
    assert_eq!(read(dir.path(), "n1").unwrap_err().0.len(), 2);
}
