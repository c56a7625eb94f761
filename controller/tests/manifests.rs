//! Whatever a manifest file holds, reading it ends in objects or errors, never in a panic; and a file that is cut short
//! is an error wherever that can be seen.

use std::path::{Path, PathBuf};

use palisade::manifests::{Manifests, ReadErrors, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const YAML: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {team: a}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  labels:
    app: web
spec:
  nodeName: n1
  containers:
  - name: web
    ports:
    - name: http
      containerPort: 8080
status:
  podIPs:
  - ip: 10.0.0.1
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
  namespace: shop
spec:
  podSelector:
    matchLabels: &labels
      app: web
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector:
        matchExpressions:
        - key: app
          operator: In
          values: [front, back]
    - namespaceSelector: {}
      podSelector:
        matchLabels: *labels
    - ipBlock:
        cidr: 10.0.0.0/8
        except:
        - 10.1.0.0/16
    ports:
    - protocol: UDP
      port: 8000
      endPort: 9000
    - port: http
  egress: []
";

const POLICY: &str = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web"},
"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]}}"#;

/// Pieces of which YAML is made.
const TOKENS: [&str; 44] = [
    "\n",
    "\n  ",
    "\n    ",
    " ",
    "\t",
    ": ",
    ":",
    "- ",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    ">-\n",
    "? ",
    "!!str ",
    "!x ",
    "'",
    "\"",
    "#",
    "%YAML 1.2\n",
    "~",
    "null",
    "true",
    "0x1F",
    "-.inf",
    "1e999",
    "\u{feff}",
    "apiVersion: v1\n",
    "kind: List\n",
    "kind: NetworkPolicy\n",
    "metadata: {name: a}\n",
    "spec:",
    "items:",
    "ingress:",
    "from",
    "podSelector: {}",
    "port: 80",
];

fn read(text: &str) -> Result<Manifests, ReadErrors> {
    parse(Path::new("dir"), &[(PathBuf::from("f.yaml"), text.to_owned())], "n1")
}

/// What is wrong is said, too.
fn read_and_print(text: &str) {
    if let Err(errors) = read(text) {
        assert!(!errors.0.is_empty() && !errors.to_string().is_empty());
    }
}

#[test]
fn the_whole_files_are_good() {
    let manifests = read(YAML).unwrap();
    assert_eq!((manifests.namespaces.len(), manifests.pods.len(), manifests.policies.len()), (1, 1, 1));
    assert_eq!(read(POLICY).unwrap().policies.len(), 1);
}

#[test]
fn json_cut_anywhere_is_an_error() {
    for end in 0..POLICY.len() {
        assert!(read(&POLICY[..end]).is_err(), "{}", &POLICY[..end]);
    }
}

/// A policy cut in a value (`app: fro`) or between two lines may look whole. One cut in a key, or before a value, does
/// not.
#[test]
fn a_policy_cut_before_a_value_is_an_error() {
    let start = YAML.rfind("---\n").unwrap() + 4;
    for end in start + 1..YAML.len() {
        let text = &YAML[..end];
        let line = text.lines().last().unwrap().trim_start_matches([' ', '-']);
        let cut_key = !text.ends_with('\n') && !line.is_empty() && !line.contains(": ") && !line.contains('.');
        let no_value = text.trim_end().ends_with(':');
        if cut_key || no_value {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_panics(text in any::<String>()) {
        read_and_print(&text);
    }

    #[test]
    fn pieces_of_yaml_never_panic(tokens in vec(select(&TOKENS[..]), 0..40)) {
        read_and_print(&tokens.concat());
    }

    #[test]
    fn mutated_manifests_never_panic(edits in vec((any::<Index>(), 0_usize..8, select(&TOKENS[..])), 1..6)) {
        let mut text: Vec<char> = YAML.chars().collect();
        for (at, removed, token) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, token.chars());
        }
        read_and_print(&text.into_iter().collect::<String>());
    }

    #[test]
    fn a_policy_of_any_numbers_and_names_never_panics(
        port in any::<i64>(), end in any::<i64>(), name in any::<String>(), cidr in "[0-9a-f.:/]{0,20}",
    ) {
        let quoted = serde_json::to_string(&name).expect("text is JSON");
        let ports = format!("\"ports\": [{{\"port\": {port}, \"endPort\": {end}}}, {{\"port\": {quoted}}}]");
        let block = format!("{{\"ipBlock\": {{\"cidr\": \"{cidr}\", \"except\": [{quoted}]}}}}");
        let labels = format!("{{\"podSelector\": {{\"matchLabels\": {{{quoted}: {quoted}}}}}}}");
        let rule = format!("{{\"from\": [{block}, {labels}], {ports}}}");
        let text = POLICY.replace(r#"{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}"#, &rule);
        prop_assert_ne!(&text, POLICY);
        read_and_print(&text);
    }
}
