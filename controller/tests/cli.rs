//! `palisade` as a program, as far as it needs no kernel: usage, help, completions, `render` and `explain`.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const COMMANDS: [&str; 14] = [
    "run",
    "render",
    "diff",
    "explain",
    "verify",
    "map",
    "preview",
    "recommend",
    "status",
    "monitor",
    "connections",
    "log-level",
    "cleanup",
    "completions",
];

/// `db` takes connections of `web` alone: at 5432, and at the port that it calls `metrics`. `web` may send to `db` alone.
const SHOP: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {nodeName: a},
 status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db, namespace: shop, labels: {app: db}}, spec: {nodeName: b, containers: [{name: c,
 ports: [{name: metrics, containerPort: 9187}, {name: dns, containerPort: 53, protocol: UDP}]}]},
 status: {podIPs: [{ip: 10.0.1.1}, {ip: 'fd00:1::1'}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: open, namespace: shop, labels: {app: open}}, status: {podIPs: [{ip: 10.0.0.3}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: done, namespace: shop}, status: {phase: Succeeded, podIPs: [{ip: 10.0.0.4}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: new, namespace: shop}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: db, namespace: shop}, spec: {
 podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1}], from: [{ipBlock: {cidr: 192.0.2.0/24}}]},
  {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}, {port: metrics}]}]}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: web, namespace: shop}, spec: {
 podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: db, namespace: shop}}
";

struct Directory(TempDir);

impl Directory {
    fn of(manifests: &str) -> Self {
        let directory = Self(TempDir::new().unwrap());
        fs::write(directory.0.path().join("shop.yaml"), manifests).unwrap();
        directory
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn explain(&self, arguments: &[&str]) -> Output {
        palisade().args(["explain", "--manifests"]).arg(self.path()).args(arguments).output().unwrap()
    }
}

fn palisade() -> Command {
    let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
    palisade.env_remove("NODE_NAME").env_remove("PALISADE_LOG");
    palisade
}

fn run(arguments: &[&str]) -> Output {
    palisade().args(arguments).output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it said on stderr; on stdout it says nothing.
#[track_caller]
fn fails(output: &Output, code: i32) -> String {
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
        (Some(code), ""),
        "{output:?}"
    );
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in:\n{message}");
    }
}

mod usage {
    use super::*;

    #[test]
    fn help_tells_all_commands_and_exit_codes() {
        let help = succeeds(&run(&["--help"]));
        says(&help, &COMMANDS);
        says(&help, &["Exit codes: 0 done, 1 the work failed, 2 wrong usage", "--manifests dir"]);
    }

    #[test]
    fn every_command_has_help() {
        for command in COMMANDS {
            let help = succeeds(&run(&[command, "--help"]));
            says(&help, &["Usage: palisade", command, "--log-level"]);
        }
    }

    #[test]
    fn version_is_printed() {
        assert_eq!(succeeds(&run(&["--version"])), format!("palisade {}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        let cases: [&[&str]; 10] = [
            &[],
            &["enforce"],
            &["run", "--manifests", "dir"],
            &["render", "--manifests", "dir"],
            &["run", "--manifests", "dir", "--node-name", "n", "--twice"],
            &["explain", "--manifests", "dir", "--from", "web", "--to", "shop/db", "--port", "1"],
            &["explain", "--manifests", "dir", "--from", "1.2.3.4", "--to", "a/b", "--port", "1", "--protocol", "GRE"],
            &["run", "--manifests", "dir", "--node-name", "n", "--kubeconfig", "file"],
            &["status", "-o", "xml"],
            &["--log-level", "a=b=c", "status"],
        ];
        for arguments in cases {
            let message = fails(&run(arguments), 2);
            assert!(!message.is_empty(), "{arguments:?}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        says(&fails(&run(&["run", "--manifests", "dir"]), 2), &["--node-name"]);
        let explain = ["explain", "--manifests", "dir", "--to", "shop/db", "--port", "1", "--from", "web"];
        says(&fails(&run(&explain), 2), &["web", "neither an IP address nor NAMESPACE/POD"]);
    }

    #[test]
    fn completions_are_scripts() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = succeeds(&run(&["completions", shell]));
            says(&script, &["COMPLETE", "palisade"]);
        }
        let script = run(&["completions", "bash"]).stdout;
        let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        bash.stdin.take().unwrap().write_all(&script).unwrap();
        assert!(bash.wait().unwrap().success());
        assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(2));
    }

    /// It is the first process of a container.
    #[test]
    fn who_waits_ends_when_told() {
        const TERMINATE: u64 = 1 << 14;
        let mut waiting = palisade().arg("wait").spawn().unwrap();
        let catches = || {
            let status = fs::read_to_string(format!("/proc/{}/status", waiting.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
            u64::from_str_radix(caught, 16).unwrap() & TERMINATE > 0
        };
        while !catches() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(waiting.try_wait().unwrap().is_none());
        assert!(Command::new("kill").arg(waiting.id().to_string()).status().unwrap().success());
        assert!(waiting.wait().unwrap().success());
    }

    /// As by `palisade render … | head`.
    #[test]
    fn a_reader_that_leaves_is_no_panic() {
        let directory = Directory::of(SHOP);
        let mut render = palisade();
        render.args(["render", "--node-name", "a", "--manifests"]).arg(directory.path());
        let mut completions = palisade();
        completions.args(["completions", "bash"]);
        for mut command in [render, completions] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(!message.contains("panicked"), "{message}");
            assert_eq!(output.status.code(), Some(1), "{message}");
        }
    }
}

mod render {
    use super::*;

    fn render(manifests: &str, node: &str) -> Output {
        let directory = Directory::of(manifests);
        palisade().args(["render", "--node-name", node, "--manifests"]).arg(directory.path()).output().unwrap()
    }

    #[test]
    fn the_node_decides_which_pods_are_judged() {
        let [a, b] = ["a", "b"].map(|node| succeeds(&render(SHOP, node)));
        assert!(a.contains("pod-egress-shop-web-") && !a.contains("pod-ingress-shop-db-"), "{a}");
        assert!(b.contains("pod-ingress-shop-db-") && !b.contains("pod-egress-shop-web-"), "{b}");
    }

    /// Given, or that of the Node; without either nothing of it is there.
    #[test]
    fn the_pod_range_is_guarded_where_that_is_asked_for() {
        let node = "{kind: Node, apiVersion: v1, metadata: {name: a}, spec: {podCIDRs: [10.0.0.0/24, 'fd00::/64']}}";
        let directory = Directory::of(&format!("{SHOP}\n---\n{node}"));
        let text = |arguments: &[&str]| {
            let mut command = palisade();
            command.args(["render", "--node-name", "a", "--manifests"]).arg(directory.path()).args(arguments);
            command.output().unwrap()
        };
        assert!(!succeeds(&text(&[])).contains("pod-range"));
        let given = succeeds(&text(&["--guard-pod-range=10.0.0.0/24,fd00::/64"]));
        assert_eq!(given, succeeds(&text(&["--guard-pod-range"])));
        assert!(given.contains("ct original ip saddr @pod-range-4 ct original ip saddr != @local-pods-4 counter drop"));
        assert!(given.contains("elements = { 10.0.0.0-10.0.0.254 }"), "{given}");
        let check = |range: &str| succeeds(&text(&["--check", range]));
        assert_eq!(check("--guard-pod-range"), "");
        let outside = "not in the pod range: shop/open 10.0.0.3\nnot in the pod range: shop/web 10.0.0.1\n";
        assert_eq!(check("--guard-pod-range=10.9.0.0/24,fd00::/64"), outside);
        for wrong in ["10.0.0.0", "0.0.0.0/0", "10.0.0.0/24,", "node"] {
            assert_eq!(text(&[&format!("--guard-pod-range={wrong}")]).status.code(), Some(2), "{wrong}");
        }
    }

    #[test]
    fn an_address_in_another_notation_is_the_same_address() {
        let other = SHOP.replace("{ip: 10.0.0.1}", "{ip: '::ffff:10.0.0.1'}").replace("10.0.1.1}", "010.000.001.001}");
        let other = other.replace("cidr: 192.0.2.0/24", "cidr: '::ffff:192.0.2.0/120'");
        assert!(!other.contains("10.0.1.1}") && !other.contains("192.0.2.0/24"));
        for node in ["a", "b"] {
            assert_eq!(succeeds(&render(&other, node)), succeeds(&render(SHOP, node)));
        }
        let explain =
            |to| Directory::of(&other).explain(&["--from", "shop/web", "--to", to, "--port", "5432", "-o", "json"]);
        let told = succeeds(&explain("10.0.1.1"));
        assert!(told.contains("shop/db"), "{told}");
        for to in ["::ffff:10.0.1.1", "010.000.001.001"] {
            assert_eq!(succeeds(&explain(to)), told);
        }
    }

    #[test]
    fn what_is_hardly_meant_is_said() {
        // A pod without a node would be on any.
        let elsewhere = SHOP.replace("namespace: shop, labels: {app: open}}", "namespace: shop}, spec: {nodeName: a}");
        let elsewhere =
            elsewhere.replace("name: done, namespace: shop}", "name: done, namespace: shop}, spec: {nodeName: a}");
        let elsewhere =
            elsewhere.replace("name: new, namespace: shop}", "name: new, namespace: shop}, spec: {nodeName: a}");
        let output = render(&elsewhere, "c");
        assert!(output.status.success());
        says(&String::from_utf8(output.stderr).unwrap(), &["WARN", "no pod runs on node c", "but on a, b"]);
        let output = render(&SHOP.replace("kind: Namespace,", "kind: Service,"), "a");
        says(&String::from_utf8(output.stderr).unwrap(), &["WARN", "no Namespace object", "shop"]);
    }

    #[test]
    fn the_node_may_come_from_the_environment() {
        let directory = Directory::of(SHOP);
        let output =
            palisade().env("NODE_NAME", "b").args(["render", "--manifests"]).arg(directory.path()).output().unwrap();
        assert_eq!(succeeds(&output), succeeds(&render(SHOP, "b")));
    }

    #[test]
    fn mistakes_lead_to_the_field() {
        let typo = SHOP.replace("cidr: 192.0.2.0/24", "cidr: 192.0.2.0/33");
        let message = fails(&render(&typo, "a"), 1);
        says(
            &message,
            &["error: ", "shop.yaml:", "(document 7): NetworkPolicy shop/db: spec.ingress[0].from[0].ipBlock.cidr: "],
        );
    }
}

mod explain {
    use super::*;

    fn json(arguments: &[&str]) -> Value {
        let output = Directory::of(SHOP).explain(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&succeeds(&output)).unwrap()
    }

    fn text(arguments: &[&str]) -> String {
        succeeds(&Directory::of(SHOP).explain(arguments))
    }

    fn refused(arguments: &[&str]) -> String {
        fails(&Directory::of(SHOP).explain(arguments), 1)
    }

    #[test]
    fn an_allowed_connection() {
        let verdict = json(&["--from", "shop/web", "--to", "shop/db", "--port", "5432"]);
        let expected = json!({
            "allowed": true,
            "from": {"address": "10.0.0.1", "pod": "shop/web"},
            "to": {"address": "10.0.1.1", "pod": "shop/db"},
            "protocol": "TCP",
            "port": 5432,
            "egress": {"isolated": true, "closed": false, "allowed": true, "node": "a", "policies": ["shop/web"], "rule": {"policy": "shop/web", "field": "spec.egress[0]"}},
            "ingress": {"isolated": true, "closed": false, "allowed": true, "node": "b", "policies": ["shop/db"], "rule": {"policy": "shop/db", "field": "spec.ingress[1]"}},
        });
        assert_eq!(verdict, expected);
        let text = text(&["--from", "shop/web", "--to", "shop/db", "--port", "5432"]);
        says(
            &text,
            &[
                "allowed: shop/web (10.0.0.1) -> shop/db (10.0.1.1) TCP port 5432\n",
                "shop/web spec.egress[0]",
                "shop/db spec.ingress[1]",
                "judged on node a",
                "judged on node b",
            ],
        );
    }

    #[test]
    fn a_denied_connection() {
        let verdict = json(&["--from", "shop/open", "--to", "shop/db", "--port", "5432"]);
        assert_eq!(verdict["allowed"], false);
        assert_eq!(
            verdict["egress"],
            json!({"isolated": false, "closed": false, "allowed": true, "policies": [], "rule": null})
        );
        assert_eq!(
            verdict["ingress"],
            json!({"isolated": true, "closed": false, "allowed": false, "node": "b", "policies": ["shop/db"], "rule": null,
                   "nearest": "shop/db spec.ingress[1] admits app=web at TCP 5432, TCP metrics; this pod has app=open"})
        );
        let text = text(&["--from", "shop/open", "--to", "shop/db", "--port", "5432"]);
        says(
            &text,
            &[
                "DENIED: shop/open",
                "no policy isolates shop/open",
                "isolated by shop/db",
                "nearest: shop/db spec.ingress[1]",
            ],
        );
    }

    /// A denied connection is an answer, not a failure.
    #[test]
    fn the_exit_code_does_not_tell_the_verdict() {
        assert!(
            Directory::of(SHOP).explain(&["--from", "shop/open", "--to", "shop/db", "--port", "1"]).status.success()
        );
    }

    #[test]
    fn by_address() {
        let allowed = |from, to, port| json(&["--from", from, "--to", to, "--port", port])["allowed"].clone();
        assert_eq!(allowed("192.0.2.9", "shop/db", "1"), true);
        assert_eq!(allowed("192.0.3.9", "shop/db", "1"), false);
        assert_eq!(allowed("10.0.0.1", "10.0.1.1", "5432"), true);
        assert_eq!(allowed("shop/web", "192.0.2.9", "443"), false);
        assert_eq!(allowed("192.0.2.9", "192.0.2.10", "443"), true);
        says(&text(&["--from", "192.0.2.9", "--to", "shop/open", "--port", "1"]), &["192.0.2.9 is no pod"]);
    }

    #[test]
    fn of_a_services_address() {
        let to = |address| json(&["--from", "shop/web", "--to", address, "--port", "443"])["hints"].clone();
        assert!(
            to("10.96.0.10")[0].as_str().unwrap().contains("Where it is a Service's, policies see the pod behind it")
        );
        assert_eq!(to("10.0.1.1"), Value::Null);
        says(
            &text(&["--from", "shop/web", "--to", "10.96.0.10", "--port", "443"]),
            &["DENIED", "  hint: 10.96.0.10 is no pod's address. Where it is a Service's"],
        );
    }

    #[test]
    fn of_pods_whose_namespace_is_missing() {
        let directory =
            Directory::of(&SHOP.replace("kind: Namespace, apiVersion: v1", "kind: Service, apiVersion: v1"));
        let said = succeeds(&directory.explain(&["--from", "shop/web", "--to", "shop/db", "--port", "5432"]));
        says(&said, &["allowed", "  hint: there is no object for Namespace shop: no namespaceSelector matches"]);
    }

    #[test]
    fn by_the_name_of_a_port() {
        let verdict = json(&["--from", "shop/web", "--to", "shop/db", "--port", "metrics"]);
        assert_eq!((&verdict["allowed"], &verdict["port"]), (&json!(true), &json!(9187)));
        let verdict = json(&["--from", "shop/web", "--to", "shop/db", "--port", "dns", "--protocol", "udp"]);
        assert_eq!(
            (&verdict["allowed"], &verdict["port"], &verdict["protocol"]),
            (&json!(false), &json!(53), &json!("UDP"))
        );
        says(
            &refused(&["--from", "shop/web", "--to", "shop/db", "--port", "dns"]),
            &["--port dns", "shop/db", "no TCP port"],
        );
        says(
            &refused(&["--from", "shop/web", "--to", "192.0.2.1", "--port", "dns"]),
            &["--port dns", "no pod", "number"],
        );
        says(&refused(&["--from", "shop/web", "--to", "shop/db", "--port", "70000"]), &["--port 70000"]);
    }

    #[test]
    fn icmp_has_no_ports() {
        let verdict = json(&["--from", "shop/web", "--to", "shop/db", "--protocol", "ICMP"]);
        assert_eq!(
            (&verdict["allowed"], &verdict["protocol"], &verdict["port"]),
            (&json!(false), &json!("ICMP"), &json!(null))
        );
        assert_eq!(verdict["egress"]["allowed"], true);
        says(
            &refused(&["--from", "shop/web", "--to", "shop/db", "--protocol", "ICMP", "--port", "1"]),
            &["ICMP has no ports"],
        );
        let message = fails(&Directory::of(SHOP).explain(&["--from", "shop/web", "--to", "shop/db"]), 2);
        says(&message, &["--port is missing"]);
    }

    const TIERS: &str = "
---
{kind: ClusterNetworkPolicy, apiVersion: policy.networking.k8s.io/v1alpha2, metadata: {name: lockdown}, spec: {
 tier: Admin, priority: 5, subject: {namespaces: {}}, egress: [
  {action: Deny, to: [{networks: [192.0.2.0/24]}]},
  {name: to the database, action: Pass, to: [{pods: {podSelector: {matchLabels: {app: db}}}}]},
  {action: Deny, to: [{namespaces: {}}]}]}}
---
{kind: ClusterNetworkPolicy, apiVersion: policy.networking.k8s.io/v1alpha2, metadata: {name: allow}, spec: {
 tier: Admin, priority: 5, subject: {namespaces: {}}, egress: [
  {action: Accept, to: [{networks: [192.0.2.7/32]}]}]}}
---
{kind: ClusterNetworkPolicy, apiVersion: policy.networking.k8s.io/v1alpha2, metadata: {name: defaults}, spec: {
 tier: Baseline, priority: 0, subject: {pods: {podSelector: {}}}, egress: [
  {action: Deny, to: [{networks: [0.0.0.0/0]}]}], ingress: [{action: Deny, from: [{namespaces: {}}]}]}}
";

    #[test]
    fn through_the_tiers() {
        let explain = |arguments: &[&str]| Directory::of(&format!("{SHOP}{TIERS}")).explain(arguments);
        let json = |arguments: &[&str]| -> Value {
            serde_json::from_str(&succeeds(&explain(&[arguments, &["-o", "json"]].concat()))).unwrap()
        };
        let decision = |verdict: &Value, tier: usize| verdict["egress"]["tiers"][tier]["decision"].clone();

        // Passed on to NetworkPolicy, which isolates.
        let verdict = json(&["--from", "shop/web", "--to", "shop/db", "--port", "5432"]);
        assert_eq!((&verdict["allowed"], &verdict["egress"]["isolated"]), (&json!(true), &json!(true)));
        let passed =
            json!({"action": "Pass", "policy": "lockdown", "field": "spec.egress[1]", "name": "to the database"});
        assert_eq!((decision(&verdict, 0), &verdict["egress"]["tiers"][0]["tier"]), (passed, &json!("Admin")));
        assert_eq!(verdict["egress"]["tiers"].as_array().unwrap().len(), 1, "the baseline is not asked");
        says(
            &succeeds(&explain(&["--from", "shop/web", "--to", "shop/db", "--port", "5432"])),
            &[
                "allowed by shop/web spec.egress[0]",
                "after Pass by lockdown spec.egress[1] \"to the database\", tier Admin",
                "hint: allow and lockdown have one priority",
            ],
        );

        // Of equal priority the lesser name comes first.
        let verdict = json(&["--from", "shop/open", "--to", "192.0.2.7", "--port", "1"]);
        assert_eq!(decision(&verdict, 0)["policy"], "allow");
        assert_eq!(verdict["egress"]["tiers"][0]["policies"], json!(["allow", "lockdown"]));
        says(
            &succeeds(&explain(&["--from", "shop/open", "--to", "192.0.2.8", "--port", "1"])),
            &["DENIED: Deny by lockdown spec.egress[0], tier Admin"],
        );

        // Where nothing isolates the baseline is asked; to itself, too.
        let verdict = json(&["--from", "shop/open", "--to", "198.51.100.1", "--port", "1"]);
        assert_eq!((decision(&verdict, 0), decision(&verdict, 1)["policy"].clone()), (json!(null), json!("defaults")));
        let verdict = json(&["--from", "shop/open", "--to", "shop/open", "--port", "1"]);
        assert_eq!((&verdict["allowed"], &verdict["pass"]), (&json!(false), &json!("loopback")));
        assert_eq!(decision(&verdict, 0)["field"], "spec.egress[2]");
    }

    #[test]
    fn in_either_family() {
        let pair = ["--from", "shop/web", "--to", "shop/db", "--port", "5432", "--family"];
        let verdict = json(&[&pair[..], &["ipv6"]].concat());
        assert_eq!((&verdict["from"]["address"], &verdict["allowed"]), (&json!("fd00::1"), &json!(true)));
        assert_eq!(json(&["--from", "shop/web", "--to", "fd00:1::1", "--port", "5432"])["to"]["pod"], "shop/db");
        says(
            &refused(&["--from", "shop/open", "--to", "fd00:1::1", "--port", "1"]),
            &["no addresses of the same family"],
        );
        says(
            &refused(&["--from", "shop/open", "--to", "shop/db", "--port", "1", "--family", "ipv6"]),
            &["do not both have an IPv6 address"],
        );
    }

    #[test]
    fn to_itself() {
        let verdict = json(&["--from", "shop/db", "--to", "shop/db", "--port", "9"]);
        assert_eq!((&verdict["allowed"], &verdict["pass"]), (&json!(true), &json!("loopback")));
        says(
            &text(&["--from", "shop/db", "--to", "shop/db", "--port", "9"]),
            &["allowed", "a pod always reaches itself"],
        );
    }

    #[test]
    fn of_a_pod_that_is_missing_or_has_no_address() {
        let from = |pod| refused(&["--from", pod, "--to", "shop/db", "--port", "1"]);
        says(&from("shop/nobody"), &["error: --from", "there is no pod shop/nobody", "NAMESPACE/POD"]);
        says(&from("shop/done"), &["pod shop/done has finished"]);
        says(&from("shop/new"), &["pod shop/new has no address", "status.podIPs"]);
        says(&refused(&["--from", "shop/web", "--to", "shop/nobody", "--port", "1"]), &["error: --to", "shop/nobody"]);
    }

    /// Two pods behind a Service, at the port that each calls `sql`, of which one lets nobody in; and ten behind another.
    const SERVICES: &str = "
---
{kind: Service, apiVersion: v1, metadata: {name: data, namespace: shop}, spec: {selector: {tier: data}, clusterIP: 10.96.0.10,
 ports: [{name: main, port: 80, targetPort: sql}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: data-0, namespace: shop, labels: {tier: data, app: db}}, spec: {containers: [{name: c,
 ports: [{name: sql, containerPort: 5432}]}]}, status: {podIPs: [{ip: 10.0.2.1}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: data-1, namespace: shop, labels: {tier: data}}, spec: {containers: [{name: c,
 ports: [{name: sql, containerPort: 5433}]}]}, status: {podIPs: [{ip: 10.0.2.2}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: many, namespace: shop}, spec: {selector: {app: many}, ports: [{port: 80}, {port: 443}]}}
";

    fn services() -> Directory {
        let many = (0..10).map(|n| format!("---\n{{kind: Pod, apiVersion: v1, metadata: {{name: many-{n}, namespace: shop, labels: {{app: many}}}}, status: {{podIPs: [{{ip: 10.0.3.{n}}}]}}}}\n"));
        Directory::of(&format!("{SHOP}{SERVICES}{}", many.collect::<String>()))
    }

    #[test]
    fn each_pod_behind_a_service_at_its_own_port() {
        let directory = services();
        let explain = |to: &[&str]| succeeds(&directory.explain(&[&["--from", "shop/open"], to].concat()));
        let text = explain(&["--to", "svc/shop/data"]);
        says(
            &text,
            &[
                "PARTLY DENIED: shop/open (10.0.0.3) -> Service shop/data TCP port 80: 1 of 2 pods behind it",
                "  DENIED: shop/open (10.0.0.3) -> shop/data-0 (10.0.2.1) TCP port 5432",
                "  allowed: shop/open (10.0.0.3) -> shop/data-1 (10.0.2.2) TCP port 5433",
                "to allow it",
            ],
        );
        for to in [
            &["--to", "10.96.0.10"][..],
            &["--to", "svc/data", "-n", "shop", "--port", "main"],
            &["--to", "service/shop/data", "--port", "80"],
        ] {
            assert_eq!(explain(to), text, "{to:?}");
        }
        let json: Value = serde_json::from_str(&explain(&["--to", "svc/shop/data", "-o", "json"])).unwrap();
        assert_eq!((&json["allowed"], &json["service"]["reached"]), (&json!(false), &json!(1)));
        assert_eq!(json["behind"][1]["port"], 5433);
    }

    #[test]
    fn of_many_pods_the_first_are_told() {
        let explain = |all: &[&str]| {
            let arguments = ["--from", "shop/open", "--to", "svc/shop/many", "--port", "443"];
            succeeds(&services().explain(&[&arguments[..], all].concat()))
        };
        says(&explain(&[]), &["allowed", "10 of 10 pods", "and 6 more: 6 allowed, 0 DENIED; all with --all"]);
        let all = explain(&["--all"]);
        says(&all, &["shop/many-9 (10.0.3.9) TCP port 443"]);
        assert!(!all.contains("more:"), "{all}");
    }

    #[test]
    fn what_cannot_be_asked_of_a_service_is_said() {
        let refused = |to: &[&str], code| fails(&services().explain(&[&["--from", "shop/web"], to].concat()), code);
        says(&refused(&["--to", "svc/shop/dat"], 1), &["--to: there is no Service shop/dat: did you mean shop/data?"]);
        says(&refused(&["--to", "svc/shop/db"], 1), &["Service shop/db has no selector"]);
        says(&refused(&["--to", "svc/shop/many"], 1), &["--port is missing: Service shop/many has TCP 80, TCP 443"]);
        says(&refused(&["--to", "svc/shop/data", "--port", "81"], 1), &["has no such TCP port: it has TCP 80 (main)"]);
        says(&refused(&["--to", "svc/data"], 2), &["write its namespace, or give -n"]);
        let from = services().explain(&["--from", "svc/shop/data", "--to", "shop/db", "--port", "1"]);
        says(&fails(&from, 2), &["a Service opens no connections"]);
    }

    #[test]
    fn the_smallest_change_is_a_patch() {
        let said = text(&["--from", "shop/open", "--to", "shop/db", "--port", "80"]);
        let command =
            "kubectl -n shop patch networkpolicy db --type=json -p '[{\"op\":\"add\",\"path\":\"/spec/ingress/-\",";
        says(
            &said,
            &["  to allow it:\n", command, "{\"podSelector\":{\"matchLabels\":{\"app\":\"open\"}}}", "\"port\":80"],
        );
        let pair = ["--from", "shop/web", "--to", "shop/db", "--port", "5432"];
        assert!(!text(&pair).contains("to forbid it"), "nobody asked for that");
        let verdict = json(&[&pair[..], &["--patch"]].concat());
        assert_eq!(
            (&verdict["change"]["to"], &verdict["change"]["patches"][0]["name"]),
            (&json!("forbid"), &json!("db"))
        );
        let itself = text(&["--from", "shop/db", "--to", "shop/db", "--port", "9", "--patch"]);
        says(&itself, &["to forbid it: a pod always reaches itself"]);
    }

    #[test]
    fn names_that_were_probably_meant() {
        let refused = |from, port: &str| refused(&["--from", from, "--to", "shop/db", "--port", port]);
        says(&refused("shop/wbe", "1"), &["there is no pod shop/wbe: did you mean shop/web?"]);
        says(&refused("blog/web", "1"), &["there is no pod blog/web: did you mean shop/web?"]);
        says(&refused("shop/web", "metrix"), &["no TCP port of that name: did you mean metrics?"]);
    }

    #[test]
    fn a_kubeconfig_that_is_missing_is_said_once() {
        let said = fails(
            &run(&["explain", "--kubeconfig", "/nonexistent/config", "--from", "a/b", "--to", "a/c", "--port", "1"]),
            1,
        );
        assert_eq!(
            said,
            "error: kubeconfig /nonexistent/config: No such file or directory (os error 2): check the file\n"
        );
        let mut palisade = palisade();
        palisade.args(["explain", "--from", "a/b", "--to", "a/c", "--port", "1"]).env_remove("KUBERNETES_SERVICE_HOST");
        let said = fails(&palisade.env("KUBECONFIG", "/nonexistent/config").output().unwrap(), 1);
        says(&said, &["no cluster is known", "--kubeconfig FILE", "--manifests DIR"]);
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
    }

    #[test]
    fn of_manifests_with_a_mistake() {
        let directory = Directory::of(&SHOP.replace("podSelector: {matchLabels: {app: db}},", "podSelecter: {},"));
        let message = fails(&directory.explain(&["--from", "shop/web", "--to", "shop/db", "--port", "1"]), 1);
        says(&message, &["shop.yaml:", "NetworkPolicy shop/db: spec.podSelecter"]);
    }
}

mod shares {
    use super::*;

    /// The rules have a port and peers of their own each: so many sets.
    fn costly(namespace: &str, rules: u16) -> String {
        let rule = |n| format!("{{ports: [{{port: {n}}}], from: [{{podSelector: {{matchLabels: {{app: p{n}}}}}}}]}}");
        let rules: Vec<String> = (1..=rules).map(rule).collect();
        format!(
            "{{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {{name: costly, namespace: {namespace}}}, \
             spec: {{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{}]}}}}",
            rules.join(", ")
        )
    }

    /// [`SHOP`] with a policy that has so many sets on node `b`.
    fn shop(sets: u16) -> Directory {
        Directory::of(&format!("{SHOP}---\n{}\n", costly("shop", sets)))
    }

    fn check(directory: &Directory, node: &str, shares: &str) -> Output {
        let mut palisade = palisade();
        palisade.args(["render", "--check", "--node-name", node, "--shares", shares, "--manifests"]);
        palisade.arg(directory.path()).output().unwrap()
    }

    #[test]
    fn a_check_names_the_closed_namespaces_of_a_node() {
        let directory = shop(30);
        let output = check(&directory, "b", "0.01");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        says(&said, &["closed: shop: its policies need more", "sets (10 fit)", "most of it: costly, db"]);
        says(&String::from_utf8(output.stderr).unwrap(), &["1 namespaces would be closed on b"]);
        assert_eq!(succeeds(&check(&directory, "a", "0.01")), "", "its cost is on the node of the pods it selects");
        for shares in ["1", "unlimited"] {
            assert_eq!(succeeds(&check(&directory, "b", shares)), "");
        }
    }

    #[test]
    fn shares_are_a_factor_or_unlimited() {
        for shares in ["0", "inf", "NaN", "much", ""] {
            says(&fails(&check(&shop(1), "b", shares), 2), &["neither a number above 0 nor `unlimited`"]);
        }
    }

    #[test]
    fn explain_tells_of_a_closed_namespace() {
        let arguments = ["--from", "shop/web", "--to", "shop/db", "--port", "5432", "--shares", "0.01"];
        let denied = succeeds(&shop(30).explain(&arguments));
        says(
            &denied,
            &[
                "DENIED: shop/web",
                "egress  allowed by shop/web",
                "ingress DENIED: namespace shop is closed: over its share",
            ],
        );
        let json: Value =
            serde_json::from_str(&succeeds(&shop(30).explain(&[&arguments[..], &["-o", "json"]].concat()))).unwrap();
        assert_eq!(
            (&json["allowed"], &json["ingress"]["closed"], &json["egress"]["closed"]),
            (&json!(false), &json!(true), &json!(false))
        );
        says(&succeeds(&shop(3).explain(&arguments)), &["allowed: shop/web"]);
        says(&succeeds(&shop(30).explain(&arguments[..6])), &["allowed: shop/web"]);
    }

    #[test]
    fn explain_tells_of_two_pods_with_one_address() {
        let twin =
            "{kind: Pod, apiVersion: v1, metadata: {name: aaa, namespace: shop}, status: {podIPs: [{ip: 10.0.1.1}]}}";
        let directory = Directory::of(&format!("{SHOP}---\n{twin}\n"));
        let said = succeeds(&directory.explain(&["--from", "shop/web", "--to", "10.0.1.1", "--port", "5432"]));
        says(
            &said,
            &["hint: 10.0.1.1 is claimed by shop/aaa, too: it is taken to be shop/db's, which was given it last"],
        );
    }
}

#[test]
fn pods_that_need_not_exist_are_explained() {
    let directory = Directory::of(SHOP);
    let explain = |arguments: &str| {
        let output = directory.explain(&arguments.split(' ').chain(["-o", "json"]).collect::<Vec<_>>());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["allowed"].as_bool().unwrap(), json)
    };
    let (allowed, json) = explain("--from-namespace shop --from-labels app=web --to shop/db --port 5432");
    assert!(allowed, "{json}");
    assert_eq!(json["from"]["pod"], "shop/(app=web)");
    assert!(json["hints"].to_string().contains("shop/(app=web) need not exist"), "{json}");
    assert!(!explain("--from-namespace shop --from-labels app=api --to shop/db --port 5432").0);
    assert!(
        !explain("--from-namespace shop --from-labels app=api --to-namespace shop --to-labels app=db --port 5432").0
    );
    let (allowed, json) = explain("--from shop/web --to-namespace shop --to-labels app=db,tier=data --port 5432");
    assert!(allowed, "{json}");
    assert_eq!(json["to"]["pod"], "shop/(app=db,tier=data)");
    assert!(!explain("--from shop/web --to-namespace shop --port 5432").0);
    for wrong in [
        "--from shop/web --from-namespace shop --to shop/db --port 5432",
        "--from-labels app=web --to shop/db --port 5432",
        "--from-namespace shop --from-labels app --to shop/db --port 5432",
        "--to shop/db --port 5432",
    ] {
        assert_eq!(directory.explain(&wrong.split(' ').collect::<Vec<_>>()).status.code(), Some(2), "{wrong}");
    }
}
