//! `palisade verify` as a program, and what it says held against the reference verdict.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The policies of the demo, and the pods that the example has beside its expectations.
fn demo() -> TempDir {
    let directory = TempDir::new().unwrap();
    let policies = fs::read_dir(root().join("integration/demo")).unwrap().map(|entry| entry.unwrap().path());
    let policies = policies.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    for file in policies.chain([root().join("deploy/verify/pods.yaml")]) {
        fs::copy(&file, directory.path().join(file.file_name().unwrap())).unwrap();
    }
    directory
}

fn verify(manifests: &Path, arguments: &[&str]) -> Output {
    let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
    palisade.args(["verify", "--manifests"]).arg(manifests).args(arguments).output().unwrap()
}

fn example(manifests: &Path, arguments: &[&str]) -> Output {
    let file = root().join("deploy/verify/expectations.yaml");
    verify(manifests, &[&[file.to_str().unwrap()], arguments].concat())
}

/// Verifies the text of a file of expectations.
fn expectations(manifests: &Path, text: &str, arguments: &[&str]) -> Output {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("expectations.yaml");
    fs::write(&file, text).unwrap();
    verify(manifests, &[&[file.to_str().unwrap()], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn stdout(output: &Output) -> String {
    text(&output.stdout)
}

fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

fn edit(directory: &TempDir, file: &str, from: &str, to: &str) {
    let path = directory.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn the_example_holds_for_the_demo() {
    let demo = demo();
    let output = example(demo.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).ends_with("7 cases: 7 passed\n"), "{}", stdout(&output));
}

#[test]
fn a_broken_demo_is_told_by_rule_and_nearest_miss() {
    let demo = demo();
    edit(&demo, "4-api-to-db.yaml", "  - from: [{podSelector: {matchLabels: {app: api}}}]\n", "  - from: []\n");
    edit(&demo, "3-frontend-to-api.yaml", "ports: [{port: 8080}]", "ports: [{port: 8081}]");
    let output = example(demo.path(), &[]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    for expected in [
        "✗ nobody but the frontend calls the api (",
        "TCP 8080 is denied, expected allowed",
        "admits TCP 8081; this was TCP 8080",
        "✗ nobody but the api reaches the database (",
        "TCP 5432 is allowed, expected denied",
        "ingress: shop/db-serves-api spec.ingress[0] admits it",
        "✓ the api pays the bank",
        "7 cases: 4 passed, 3 failed",
    ] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
    let json: Value = serde_json::from_str(&stdout(&example(demo.path(), &["-o", "json"]))).unwrap();
    assert_eq!((&json["passed"], &json["failed"], &json["errors"]), (&4.into(), &3.into(), &0.into()));
    let failure = &json["cases"][1]["failures"][0];
    assert_eq!((&failure["allowed"], &failure["traffic"]), (&false.into(), &"TCP 8080".into()), "{json}");
    assert_eq!(failure["reasons"][0]["policies"], serde_json::json!(["shop/deny-all", "shop/frontend-calls-api"]));
    let xml = stdout(&example(demo.path(), &["-o", "junit"]));
    assert!(xml.contains("tests=\"7\" skipped=\"0\" failures=\"3\" errors=\"0\""), "{xml}");
    assert!(xml.contains("<testcase name=\"nobody but the api reaches the database\""), "{xml}");
}

#[test]
fn a_case_about_nobody_is_an_error_with_the_name_that_was_meant() {
    let demo = demo();
    for (from, to, port, expected) in [
        ("pod: shop/frontend", "workload: shop/ap", "80", "to: no pod is of workload shop/ap: did you mean shop/api?"),
        (
            "pod: shop/fronted",
            "workload: shop/api",
            "80",
            "from: there is no pod shop/fronted: did you mean shop/frontend?",
        ),
        ("namespace: shpo", "workload: shop/api", "80", "from: pods in shpo match no pod: did you mean shop?"),
        (
            "namespace: shop, labels: {app: apis}",
            "workload: shop/api",
            "80",
            "from: pods app=apis in shop match no pod: did you mean app=api?",
        ),
        (
            "hypothetical: {namespace: shp}",
            "workload: shop/api",
            "80",
            "from: there is no namespace shp: did you mean shop?",
        ),
        (
            "pod: shop/api",
            "service: shop/frontent",
            "80",
            "to: there is no Service shop/frontent: did you mean shop/frontend?",
        ),
        ("pod: shop/api", "service: shop/frontend", "81", "Service shop/frontend has no TCP port 81: it has TCP 80"),
        ("pod: shop/api", "pod: shop/db", "sqll", "pod shop/db declares no TCP port sqll"),
        ("pod: shop/api", "address: 192.0.2.7", "http", "port http: 192.0.2.7 is no pod, so only a number will do"),
        ("address: 192.0.2.8", "address: 192.0.2.7", "80", "`from` and `to` never meet"),
    ] {
        let case = format!("cases:\n- from: {{{from}}}\n  to: {{{to}}}\n  port: {port}\n  expect: denied\n");
        let output = expectations(demo.path(), &case, &[]);
        let said = stdout(&output);
        assert_eq!(output.status.code(), Some(2), "{case}{said}");
        assert!(said.contains(&format!("error: {expected}")), "no {expected:?} in {said}");
        let xml = stdout(&expectations(demo.path(), &case, &["-o", "junit"]));
        assert!(xml.contains("errors=\"1\""), "{xml}");
    }
    let empty = "cases: [{from: {namespace: none}, to: {any: true}, port: 80, expect: denied, allowEmpty: true}]";
    assert_eq!(expectations(demo.path(), empty, &[]).status.code(), Some(0));
}

#[test]
fn what_cannot_be_read_is_2() {
    let demo = demo();
    let output = expectations(demo.path(), "cases:\n- fro: {any: true}\n", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(":2: cases[0].fro: is no field of a file of expectations: did you mean from?"));
    assert_eq!(verify(demo.path(), &["/nowhere.yaml"]).status.code(), Some(2));
    assert_eq!(verify(demo.path(), &[]).status.code(), Some(2), "there is nothing to verify");
    edit(&demo, "pods.yaml", "{port: 80, targetPort: http}", "{port: 800000, targetPort: http}");
    let output = example(demo.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("pods.yaml:") && said.contains("Service shop/frontend: spec.ports[0].port: 800000"),
        "{said}"
    );
}

#[test]
fn audited_policies_count_where_that_is_asked_for() {
    let demo = demo();
    edit(
        &demo,
        "1-deny-all.yaml",
        "{namespace: shop, name: deny-all}",
        "{namespace: shop, name: deny-all, annotations: {palisade.dev/enforcement: audit}}",
    );
    let case = "cases: [{from: {hypothetical: {namespace: shop}}, to: {address: 192.0.2.7}, port: 80, expect: denied}]";
    assert_eq!(expectations(demo.path(), case, &[]).status.code(), Some(1));
    assert_eq!(expectations(demo.path(), case, &["--audited"]).status.code(), Some(0));
}

/// Not only of those that there are: an address outside that a rule admits is found, and so is a label.
#[test]
fn only_means_nobody_else() {
    let demo = demo();
    let case =
        "cases: [{from: {workload: shop/api}, to: {workload: shop/db}, port: 5432, expect: allowed, only: true}]";
    assert_eq!(expectations(demo.path(), case, &[]).status.code(), Some(0));
    let rule = "  - from: [{podSelector: {matchLabels: {app: api}}}]\n    ports: [{port: 5432}]";
    for (wider, expected) in [
        (format!("{rule}\n  - from: [{{ipBlock: {{cidr: 198.51.100.64/26}}}}]"), "    198.51.100.64 -> shop/db "),
        (format!("{rule}\n  - from: [{{namespaceSelector: {{}}}}]"), "    blog/attacker "),
    ] {
        edit(&demo, "4-api-to-db.yaml", rule, &wider);
        let output = expectations(demo.path(), case, &[]);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stdout(&output).contains(expected), "no {expected:?} in {}", stdout(&output));
        edit(&demo, "4-api-to-db.yaml", &wider, rule);
    }
}

#[test]
fn lint_is_told_and_denied_and_ignored() {
    let demo = demo();
    let codes = |output: &Output| -> Vec<String> {
        let json: Value = serde_json::from_str(&stdout(output)).unwrap();
        let findings = json["lint"].as_array().unwrap();
        findings
            .iter()
            .map(|finding| format!("{} {}", finding["policy"].as_str().unwrap(), finding["code"].as_str().unwrap()))
            .collect()
    };
    let without_dns = ["shop/api-uses-db egress-without-dns", "shop/frontend-calls-api egress-without-dns"];
    let output = verify(demo.path(), &["--lint", "-o", "json"]);
    assert_eq!((output.status.code(), codes(&output)), (Some(0), without_dns.map(str::to_owned).to_vec()));
    let output = verify(demo.path(), &["--lint=deny"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).ends_with("[egress-without-dns]\nlint: 2 findings\n"), "{}", stdout(&output));
    let xml = stdout(&verify(demo.path(), &["--lint=deny", "-o", "junit"]));
    assert!(xml.contains("tests=\"2\" skipped=\"0\" failures=\"2\" errors=\"0\""), "{xml}");
    for (file, name) in [("3-frontend-to-api.yaml", "frontend-calls-api"), ("4-api-to-db.yaml", "api-uses-db")] {
        let name = format!("name: {name}");
        edit(
            &demo,
            file,
            &name,
            &format!("{name}, annotations: {{palisade.dev/lint-ignore: 'two-peers, egress-without-dns'}}"),
        );
    }
    let output = verify(demo.path(), &["--lint=deny"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "lint: nothing\n"));
    edit(&demo, "4-api-to-db.yaml", "policyTypes: [Egress]", "policyTypes: [Ingress]");
    let output = verify(demo.path(), &["--lint", "-o", "json"]);
    assert!(codes(&output).contains(&"shop/api-uses-db rules-without-type".to_owned()), "{}", stdout(&output));
    edit(
        &demo,
        "4-api-to-db.yaml",
        "name: db-serves-api}\nspec:\n  podSelector: {matchLabels: {app: db}}",
        "name: db-serves-api}\nspec:\n  podSelector: {matchLabels: {app: bd}}",
    );
    let output = verify(demo.path(), &["--lint", "-o", "json"]);
    assert!(codes(&output).contains(&"shop/db-serves-api selects-nobody".to_owned()), "{}", stdout(&output));
}

/// A pod without an address is one pod, which is nobody else than itself; a Deployment makes several.
#[test]
fn pods_without_addresses_are_asked_about() {
    let manifests = |db: &str| {
        let directory = TempDir::new().unwrap();
        let policy =
            "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: db, namespace: shop}, spec: {
            podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}}";
        let web = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}";
        let text = ["{apiVersion: v1, kind: Namespace, metadata: {name: shop}}", web, policy, db].join("\n---\n");
        fs::write(directory.path().join("shop.yaml"), text).unwrap();
        directory
    };
    let pod = manifests("{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}}");
    let deployment = manifests(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: db, namespace: shop}, spec: {template: {metadata: {labels: {app: db}}}}}",
    );
    let case = "cases: [{from: {any: true}, to: {workload: shop/db}, port: 80, expect: denied}]";
    assert_eq!(expectations(pod.path(), case, &[]).status.code(), Some(0));
    let output = expectations(deployment.path(), case, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("    shop/db (192.0.2.1) -> shop/db (192.0.2.2) TCP 80"), "{}", stdout(&output));
    let [one, other] = ["db", "db2"].map(|name| {
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: db}}}}}}")
    });
    let two = manifests(&format!("{one}\n---\n{other}"));
    let case = "cases: [{from: {any: true}, to: {pod: shop/db}, port: 80, expect: denied}]";
    assert_eq!(expectations(two.path(), case, &[]).status.code(), Some(1), "the other one reaches it");
    let itself = "cases: [{from: {pod: shop/db}, to: {pod: shop/db}, port: 80, expect: allowed}]";
    assert_eq!(expectations(pod.path(), itself, &[]).status.code(), Some(2), "they never meet");
}
