//! `palisade map` and `palisade preview` as programs.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod program;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use program::{Directory, succeeds};
use serde_json::{Value, json};

/// `api` takes connections of `web` at 8080 and those from outside at 443, and opens none. Everybody else is open.
const SHOP: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: shop, labels: {app: web}},
 status: {podIPs: [{ip: 10.0.0.1}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: api, namespace: shop, labels: {app: api}},
 status: {podIPs: [{ip: 10.0.0.2}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db-0, namespace: shop, labels: {app: db,
 statefulset.kubernetes.io/pod-name: db-0}}, status: {podIPs: [{ip: 10.0.0.3}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db-1, namespace: shop, labels: {app: db,
 statefulset.kubernetes.io/pod-name: db-1}}, status: {podIPs: [{ip: 10.0.0.4}]}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: api, namespace: shop}, spec: {
 podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress, Egress], ingress: [
  {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]},
  {from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]}}
";

/// `db` takes connections of `api` and `web` at 5432 alone; and one that selects nobody.
const CHANGE: &str = "
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: db, namespace: shop}, spec: {
 podSelector: {matchLabels: {app: db}}, ingress: [
  {from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [api, web]}]}}], ports: [{port: 5432}]}]}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: nobody, namespace: shop}, spec: {
 podSelector: {matchLabels: {app: dbb}}}}
";

#[test]
fn a_map_has_workloads_and_the_ways_that_rules_name() {
    let map = Directory::of(SHOP).json("map", &[]);
    let workloads = map["workloads"].as_array().unwrap();
    let names: Vec<Value> =
        workloads.iter().map(|one| json!([one["name"], one["pods"], one["ingress"]["open"]])).collect();
    assert_eq!(names, [json!(["api", 1, false]), json!(["db", 2, true]), json!(["web", 1, true])]);
    let anybody = json!([{"family": "ipv4", "pods": [], "outside": []}]);
    assert_eq!(
        workloads[0]["egress"],
        json!({"open": false, "isolated": true, "policies": ["shop/api"], "anybody": anybody})
    );
    let block = map["outside"].as_array().unwrap().iter().find(|one| one["named"] == true).unwrap();
    assert_eq!((&block["name"], &block["blocks"]), (&json!("192.0.2.0/24"), &json!(["192.0.2.0/24"])));
    let rule = |index: u8, port: &str| {
        let rule = format!("shop/api spec.ingress[{index}]");
        json!([{"rule": rule, "action": "Accept", "ports": [port]}])
    };
    let way = |from: &Value, index: u8, port: &str| {
        let ingress = rule(index, port);
        json!({"from": from["id"], "to": 0, "ports": [port], "egress": [], "ingress": ingress})
    };
    assert_eq!(map["edges"], json!([way(&workloads[2], 0, "TCP 8080"), way(block, 1, "TCP 443")]));
}

#[test]
fn a_map_for_graphviz_has_them_too() {
    let text = succeeds(&Directory::of(SHOP).run("map", &["-o", "dot"]));
    for line in
        ["label=\"shop\";", "n0 [label=\"api\"];", "n1 [label=\"db\\nopen: in, out\", color=darkorange, penwidth=3];"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains("  n2 -> n0 [label=\"TCP 8080\"];\n"), "{text}");
}

#[test]
fn a_page_is_one_file_and_names_cannot_get_out_of_its_data() {
    // A workload's name is what a label says, where it does.
    let directory = Directory::of(&SHOP.replacen("{app: web}}", "{job-name: '</script><b>/*data*/&'}}", 1));
    let file = directory.0.path().join("map.html");
    assert_eq!(succeeds(&directory.run("map", &["--out", file.to_str().unwrap()])), "");
    let page = fs::read_to_string(file).unwrap();
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (data, rest) = data.split_once("</script>").unwrap();
    let map: Value = serde_json::from_str(data).unwrap();
    assert_eq!(map["workloads"][0]["name"], "</script><b>/*data*/&");
    assert!(!data.contains('<') && !rest.contains("<b>"));
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn a_preview_says_what_closes_and_what_does_not() {
    let directory = Directory::of(SHOP);
    let change = directory.file("change.yaml", CHANGE);
    let preview = directory.json("preview", &[&change]);
    let tcp = ["TCP 0-5431", "TCP 5433-65535", "UDP", "SCTP", "other protocols"];
    let closes = json!([{"from": "shop/web", "to": "shop/db", "ports": tcp, "by": ["shop/db"]}]);
    assert_eq!((&preview["opens"], &preview["closes"]), (&json!([]), &closes));
    let others = preview["others"].as_array().unwrap();
    let from: Vec<&Value> = others.iter().map(|others| &others["from"]).collect();
    assert_eq!(from, [&json!(["shop/db", "shop/web"]), &json!(["other IPv4 addresses", "192.0.2.0/24"])]);
    assert!(others.iter().all(|one| one["to"] == json!(["shop/db"]) && one["closes"] == json!(["all ports"])));
    assert_eq!(preview["isolated"], json!([{"workload": "shop/db", "direction": "ingress"}]));
    assert_eq!(preview["select_nobody"], json!(["shop/nobody"]));
    let text = succeeds(&directory.run("preview", &[&change, "--fail-on", "open"]));
    assert!(text.contains("  - shop/web -> shop/db  TCP 0-5431"), "{text}");
    let denied = directory.run("preview", &[&change, "--fail-on", "deny"]);
    assert_eq!(denied.status.code(), Some(1), "{denied:?}");
    assert!(String::from_utf8_lossy(&denied.stderr).contains("--fail-on deny"));
}

#[test]
fn a_preview_says_what_of_the_change_is_surely_not_meant() {
    let before = format!(
        "{SHOP}---\n{}",
        CHANGE.replace("name: nobody", "name: old").replace("app: dbb", "app: bdd").rsplit("---").next().unwrap()
    );
    let directory = Directory::of(&before);
    let services = "{from: [{ipBlock: {cidr: 10.96.0.0/16}}]}";
    let change = directory.file(
        "change.yaml",
        &CHANGE.replace("ports: [{port: 5432}]}", &format!("ports: [{{port: 5432}}]}}, {services}")),
    );
    let lint = |arguments: &[&str]| {
        let preview = directory.json("preview", &[&[&*change], arguments].concat());
        let found = preview["lint"].as_array().cloned().unwrap_or_default();
        found
            .iter()
            .map(|one| format!("{} {}", one["policy"].as_str().unwrap(), one["code"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(lint(&["--lint"]), ["shop/nobody selects-nobody"], "what was there is not told");
    let with_range = ["--lint", "--service-cidr", "10.96.0.0/12"];
    assert_eq!(lint(&with_range)[0], "shop/db block-holds-services");
    assert_eq!(lint(&[]), [""; 0]);
    let denied = directory.run("preview", &[&change, "--lint=deny"]);
    assert_eq!(denied.status.code(), Some(1), "{denied:?}");
    assert!(
        String::from_utf8_lossy(&denied.stdout)
            .contains("Surely not meant (1):\n  shop/nobody spec.podSelector: selects-nobody: "),
        "{denied:?}"
    );
}

#[test]
fn what_is_deleted_opens() {
    let directory = Directory::of(SHOP);
    let policy = directory.file("api.yaml", SHOP.rsplit("---").next().unwrap());
    let preview = directory.json("preview", &["--delete", &policy]);
    assert_eq!(preview["closes"], json!([]));
    let opens = preview["opens"].as_array().unwrap();
    assert!(opens.iter().any(|way| way["from"] == "shop/web" && way["to"] == "shop/api"), "{opens:?}");
    let isolation = |direction: &str| json!({"workload": "shop/api", "direction": direction});
    assert_eq!(preview["no_longer_isolated"], json!([isolation("egress"), isolation("ingress")]));
    let opened = directory.run("preview", &["--delete", &policy, "--fail-on", "open"]);
    assert_eq!(opened.status.code(), Some(1), "{opened:?}");
}

#[test]
fn what_changes_nothing_says_so_and_what_is_not_there_too() {
    let directory = Directory::of(SHOP);
    let same = directory.file("same.yaml", SHOP);
    let text = succeeds(&directory.run("preview", &[&same, "--fail-on", "open", "--fail-on", "deny"]));
    assert_eq!(text, "No way opens and none closes.\n");
    let missing = directory.file("db.yaml", CHANGE);
    let preview = directory.json("preview", &["--delete", &missing]);
    assert_eq!(preview["not_found"], json!(["NetworkPolicy shop/db", "NetworkPolicy shop/nobody"]));
    let misspelt = directory.file("apj.yaml", &SHOP.rsplit("---").next().unwrap().replace("name: api", "name: apj"));
    let preview = directory.json("preview", &["--delete", &misspelt]);
    assert_eq!(preview["not_found"], json!(["NetworkPolicy shop/apj: did you mean shop/api?"]));
    assert_eq!(directory.run("preview", &[]).status.code(), Some(2));
    let nowhere = directory.run("preview", &["/nowhere/change.yaml"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("/nowhere/change.yaml"));
}

/// What an agent recorded of these connections to TCP ports of `db-0`, and of `api`.
fn flows(directory: &Directory, of: &[(&str, &str, &str, u16)]) -> String {
    let pod = |name: &str| match name {
        "web" => ("10.0.0.1", "web", "web"),
        "api" => ("10.0.0.2", "api", "api"),
        "db-9" => ("10.0.0.99", "db-9", "db"),
        "gone" => ("10.0.0.98", "gone", "gone"),
        _ => ("10.0.0.3", "db-0", "db"),
    };
    let record = |(from, to, protocol, port): &(&str, &str, &str, u16)| {
        let ((from, name, workload), (to, other, others)) = (pod(from), pod(to));
        json!({
            "kind": "record", "time": "2026-11-28T22:56:12Z", "node": "node-1", "verdict": "allowed", "reason": "open",
            "direction": "egress", "pod": {"namespace": "shop", "name": name, "workload": workload, "address": from},
            "peer": {"address": to, "pod": {"namespace": "shop", "name": other, "workload": others}},
            "protocol": protocol, "port": port, "packets": 0, "connections": 3,
        })
    };
    let lines: String = of.iter().map(|one| format!("{}\n", record(one))).collect();
    directory.file("flows.jsonl", &lines)
}

#[test]
fn a_preview_says_which_recorded_flows_would_be_refused_and_by_what() {
    let directory = Directory::of(SHOP);
    let recorded = [
        ("web", "db-0", "TCP", 5432),
        ("web", "db-9", "TCP", 80),
        ("web", "gone", "TCP", 80),
        ("web", "api", "TCP", 1),
    ];
    let (change, flows) = (directory.file("change.yaml", CHANGE), flows(&directory, &recorded));
    let preview = directory.json("preview", &[&change, "--flows", &flows]);
    let live = &preview["live"];
    let expected = json!({
        "from": "shop/web", "to": "shop/db", "port": "TCP 80", "connections": 3, "last": "2026-11-28T22:56:12Z",
        "by": ["shop/db"], "why": ["ingress: shop/db spec.ingress[0] admits TCP 5432; this was TCP 80"],
    });
    assert_eq!(live["refused"], json!([expected]), "another pod of the workload stands for the one that is gone");
    assert_eq!((&live["judged"], &live["gone"], live.get("cut")), (&json!(4), &json!(1), None));
    let arguments = [&change, "--flows", &flows, "--fail-on", "cut"];
    let output = directory.run("preview", &arguments);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Refuses what was recorded (1):\n  - shop/web -> shop/db  TCP 80  ×3 connections, the last "),
        "{text}"
    );
    assert!(text.contains("1 recorded flows are of workloads that are gone"), "{text}");
}

#[test]
fn who_asks_for_cuts_says_what_is_connected() {
    let directory = Directory::of(SHOP);
    let change = directory.file("change.yaml", CHANGE);
    let output = directory.run("preview", &[&change, "--fail-on", "cut"]);
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && says.contains("add --live or --flows"), "{says}");
    let nonsense = directory.file("flows", "no json\n");
    let output = directory.run("preview", &[&change, "--flows", &nonsense]);
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && says.contains("line 1"), "{says}");
}

#[test]
fn a_policy_that_others_cover_changes_nothing_and_that_is_said() {
    let directory = Directory::of(&format!("{SHOP}\n---\n{CHANGE}"));
    let covered =
        "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: again, namespace: shop}, spec: {
        podSelector: {matchLabels: {app: db}}, ingress: [
        {from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]}}";
    let change = directory.file("change.yaml", covered);
    let preview = directory.json("preview", &[&change]);
    let expected = json!([{"policy": "shop/again", "goes": false, "beside": ["shop/db"]}]);
    assert_eq!(preview["no_effect"], expected);
    let text = succeeds(&directory.run("preview", &[&change]));
    assert!(text.contains("Changes nothing (1):\n  shop/again: all is as without it, by shop/db\n"), "{text}");
    let wider = directory.file("wider.yaml", &covered.replace("app: api", "app: web").replace("5432", "5433"));
    assert_eq!(directory.json("preview", &[&wider])["no_effect"], json!([]));
}

#[test]
fn a_map_says_which_ways_are_used_and_what_policies_do_not_allow_any_more() {
    let directory = Directory::of(SHOP);
    let recorded = [("web", "api", "TCP", 8080), ("web", "db-0", "TCP", 5432), ("web", "api", "TCP", 22)];
    let flows = flows(&directory, &recorded);
    let map = directory.json("map", &["--flows", &flows]);
    let connections: Vec<&Value> =
        map["edges"].as_array().unwrap().iter().map(|edge| &edge["used"]["connections"]).collect();
    assert_eq!(connections, [&json!(3), &json!(0)], "one from web is used, one from outside is not");
    let seen = |port: &str, to: usize| json!([{"from": 2, "to": to, "port": port, "connections": 3, "last": "2026-11-28T22:56:12Z"}]);
    assert_eq!(map["usage"]["others"], seen("TCP 5432", 1));
    assert_eq!(map["usage"]["refused"], seen("TCP 22", 0));
    let dot = succeeds(&directory.run("map", &["-o", "dot", "--flows", &flows]));
    for line in [
        "n2 -> n0 [label=\"TCP 8080\\n×3\", penwidth=2]",
        "style=dotted",
        "TCP 22 ×3, not allowed now\", penwidth=2, color=red",
    ] {
        assert!(dot.contains(line), "{line} in {dot}");
    }
    let svg = succeeds(&directory.run("map", &["-o", "svg", "--flows", &flows]));
    for part in ["class=\"way refused\"", "class=\"way anybody\"", "class=\"way unused\"", "TCP 22: not allowed now"] {
        assert!(svg.contains(part), "{part} in {svg}");
    }
}

#[test]
fn a_picture_has_all_workloads_and_ways_and_names_stay_text() {
    let directory = Directory::of(&SHOP.replacen("{app: web}}", "{job-name: '</text><b>&'}}", 1));
    let svg = succeeds(&directory.run("map", &["-o", "svg"]));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("&lt;/text&gt;&lt;b&gt;&amp;") && !svg.contains("<b>"), "{svg}");
    assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("<title id=\"title\">"));
    let map = directory.json("map", &[]);
    for workload in map["workloads"].as_array().unwrap() {
        let told = format!(
            "<title>shop/{}, ",
            workload["name"].as_str().unwrap().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
        );
        assert!(svg.contains(&told), "{told} in {svg}");
    }
    assert_eq!(svg.matches("marker-end").count(), map["edges"].as_array().unwrap().len());
    let rest = svg.replace("http://www.w3.org/2000/svg", "");
    assert!(!rest.contains("://") && !rest.contains("<script"), "it loads something");
}

/// Above sixty a node is a namespace, and all is still there.
#[test]
fn a_picture_of_many_workloads_shows_namespaces() {
    let many: String = (0..2_000)
        .map(|number| {
            let (space, name, ip) = (number % 100, number / 100, format!("10.1.{}.{}", number / 200, number % 200));
            format!(
                "---\n{{kind: Pod, apiVersion: v1, metadata: {{name: w{name}, namespace: s{space}, labels: {{app: w{name}}}}}, \
                 status: {{podIPs: [{{ip: {ip}}}]}}}}\n"
            )
        })
        .collect();
    let svg = succeeds(&Directory::of(&format!("{SHOP}\n{many}")).run("map", &["-o", "svg"]));
    assert_eq!(svg.matches("<g class=\"node ").count(), 101 + 1 + 2, "namespaces, one outside, and two in the legend");
    assert!(svg.contains("<title>namespace s7: 20 workloads, 20 of them open in some direction</title>"));
    assert!(svg.len() < 200_000, "{}", svg.len());
}

/// The page says with which command it is made.
#[test]
fn the_picture_of_the_documentation_is_what_is_drawn_now() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
    let flows = docs.join("map/flows.jsonl");
    palisade.args(["map", "-o", "svg", "--manifests"]).arg(docs.join("map")).arg("--flows").arg(flows);
    let drawn = succeeds(&palisade.output().unwrap());
    let kept = fs::read_to_string(docs.join("map.svg")).unwrap();
    assert!(drawn == kept, "draw controller/docs/map.svg anew, as controller/docs/map.md says");
}
