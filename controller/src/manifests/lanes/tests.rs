//! Both ways to read a text find the same objects.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::manifests::strings::Strings;

/// As `kubectl get -o yaml` prints it.
const YAML: &str = "\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      checked: \"yes\"
    creationTimestamp: \"2026-01-02T03:04:05Z\"
    labels:
      app: web
      pod-template-hash: 5d8f7b9c6d
    name: web-1
    namespace: shop
    resourceVersion: \"1234\"
    uid: 0b1c2d3e-4e5f-6789-abcd-ef0123456789
  spec:
    containers:
    - args:
      - --listen=:8080
      image: registry.example.com/web:v1
      name: web
      ports:
      - containerPort: 8080
        name: http
        protocol: TCP
    nodeName: n1
    priority: 0
  status:
    conditions:
    - lastProbeTime: null
      status: \"True\"
      type: Ready
    containerStatuses:
    - lastState: {}
      name: web
    hostIP: 192.0.2.1
    phase: Running
    podIP: 10.0.0.1
    podIPs:
    - ip: 10.0.0.1
    - ip: fd00::1
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: web
    namespace: shop
  spec:
    ingress:
    - from:
      - podSelector:
          matchLabels:
            app: front
      - ipBlock:
          cidr: 10.0.0.0/8
      ports:
      - port: 80
        protocol: TCP
    podSelector: {}
    policyTypes:
    - Ingress
- apiVersion: v1
  kind: Service
  metadata:
    name: web
    namespace: shop
  spec:
    ports:
    - port: 80
      targetPort: http
    selector:
      app: web
kind: List
metadata:
  resourceVersion: \"\"
";

/// What may stand in such a text, or make it another one.
const TOKENS: [&str; 40] = [
    "\n",
    "\n  ",
    "\n- ",
    " ",
    ": ",
    "- ",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "|\n",
    "? ",
    "~",
    "null",
    "yes",
    "0x1F",
    "010",
    "1e3",
    "8.5",
    "-1",
    "kind: List\n",
    "kind: Pod\n",
    "name: a\n",
    "items:",
    "spec:",
    "status: {}\n",
    "app: web\n",
    "ports",
    "TRUE",
    "\u{85}",
];

fn keeper() -> Keeper<'static> {
    Keeper { node: "n1", strings: Strings::default() }
}

/// The same as JSON, indented or on one line.
fn json(is_pretty: bool) -> String {
    let value: serde_json::Value = serde_saphyr::from_str(YAML).unwrap();
    if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
}

/// What is found thoroughly, unless only a key stands twice.
fn thoroughly(text: &str) -> Option<Contents> {
    let contents = thorough(Path::new("f"), text, &mut keeper());
    let is_twice = contents.errors.iter().any(|error| error.message.contains("duplicate mapping key"));
    (!is_twice).then_some(contents)
}

fn assert_same(lean: &Contents, text: &str) {
    if let Some(thorough) = thoroughly(text) {
        assert_eq!(format!("{lean:?}"), format!("{thorough:?}"), "{text}");
    }
}

#[test]
fn what_kubectl_prints_is_read_leanly() {
    for text in [json(true), json(false)] {
        let contents = json::read(&text, &mut keeper()).unwrap();
        assert_eq!(contents.found.len(), 4);
        assert_same(&contents, &text);
    }
    let contents = yaml::read(YAML, &mut keeper()).unwrap();
    assert_eq!(contents.found.iter().map(|found| found.line).collect::<Vec<_>>(), [3, 42, 61, 1].map(Some));
    assert_same(&contents, YAML);
}

/// As the API server sends it.
#[test]
fn items_that_do_not_name_their_kind_are_read_leanly() {
    let text = r#"{"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [{"metadata": {"name": "a"}}]}"#;
    let contents = json::read(text, &mut keeper()).unwrap();
    assert_eq!(contents.found.len(), 2);
    assert_same(&contents, text);
    let late = r#"{"apiVersion": "v1", "items": [{"metadata": {"name": "a"}}], "kind": "PodList"}"#;
    assert!(json::read(late, &mut keeper()).is_err());
    assert_eq!(contents_of(late).found.len(), 2, "it is read the other way");
}

fn contents_of(text: &str) -> Contents {
    contents(Path::new("f"), text, &mut keeper())
}

/// Only one of the two would be taken.
#[test]
fn a_key_of_a_pod_that_comes_again_is_not_read_leanly() {
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"app": "a"}}, "spec": {}}"#;
    assert!(json::read(pod, &mut keeper()).is_ok());
    for (once, twice) in [
        (r#""app": "a""#, r#""app": "a", "app": "b""#),
        (r#""app": "a""#, r#""app": "a", "app": "a""#),
        (r#""name": "a""#, r#""name": "a", "name": "b""#),
        (r#""spec": {}"#, r#""spec": {}, "spec": {}"#),
        (r#""spec": {}"#, r#""spec": {}, "kind": "Service""#),
        (r#""spec": {}"#, r#""spec": {}, "apiVersion": null"#),
    ] {
        let text = pod.replace(once, twice);
        assert_ne!(text, pod);
        assert!(json::read(&text, &mut keeper()).is_err(), "{text}");
        assert_eq!(contents_of(&text).errors.len(), 1, "{text}");
    }
}

#[test]
fn what_is_no_json_is_said_with_line_and_column() {
    let text = json(true);
    for broken in [text.replacen("\"kind\": \"Pod\",", "\"kind\": \"Pod\"", 1), text[..text.len() / 2].to_owned()] {
        let errors = contents_of(&broken).errors;
        assert_eq!(errors.len(), 1, "{errors:?}");
        let message = &errors[0].message;
        assert!(message.starts_with("is not valid JSON: ") && message.contains(" column "), "{message}");
        assert!(errors[0].place.line.is_some());
    }
    let flow = "{\"kind\": Pod, apiVersion: v1, metadata: {name: a}}";
    assert_eq!(contents_of(flow).found.len(), 1, "YAML may begin like JSON");
}

fn mutated(text: &str, edits: Vec<(Index, usize, &str)>) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, removed, token) in edits {
        let at = at.index(text.len() + 1);
        let end = (at + removed).min(text.len());
        text.splice(at..end, token.chars());
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn mutated_yaml_holds_the_same_objects_both_ways(
        edits in vec((any::<Index>(), 0_usize..8, select(&TOKENS[..])), 1..3),
    ) {
        let text = mutated(YAML, edits);
        if let Ok(contents) = yaml::read(&text, &mut keeper()) {
            assert_same(&contents, &text);
        }
    }

    #[test]
    fn mutated_json_holds_the_same_objects_both_ways(
        edits in vec((any::<Index>(), 0_usize..8, select(&TOKENS[..])), 1..3), is_pretty in any::<bool>(),
    ) {
        let text = mutated(&json(is_pretty), edits);
        if let Ok(contents) = json::read(&text, &mut keeper()) {
            assert_same(&contents, &text);
        }
    }
}
