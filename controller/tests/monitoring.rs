//! What `deploy/` watches for is what the agent exports.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::collections::{BTreeMap, BTreeSet};

use palisade::serve::{SourceStatus, State, WatchStatus};
use palisade::sysctl::Sysctl;
use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// The labels of each series that the agent exports, by name.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let watch = WatchStatus {
        resource: "pods".to_owned(),
        synced: true,
        connected: true,
        without: None,
        last_event: None,
        errors: 0,
        relists: 0,
        last_error: None,
    };
    let source = move || SourceStatus { watches: vec![watch.clone()], ..SourceStatus::default() };
    let text = State::new("node", Box::new(source)).metrics();
    let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('='));
        (name.to_owned(), labels.map(|(label, _)| label.to_owned()).collect())
    });
    series.collect()
}

/// What an expression asks for.
#[derive(Default)]
struct Asked {
    selectors: Vec<VectorSelector>,
    groupings: Vec<String>,
}

impl ExprVisitor for Asked {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.selectors.push(selector.clone()),
            Expr::MatrixSelector(matrix) => self.selectors.push(matrix.vs.clone()),
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                    self.groupings.extend(labels.labels.iter().cloned());
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// What is wrong with an expression of PromQL.
fn faults(expression: &str, exported: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let expression = expression.replace("$__rate_interval", "5m");
    let parsed = match parser::parse(&expression) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("{expression}: {error}")],
    };
    let mut asked = Asked::default();
    walk_expr(&mut asked, &parsed).unwrap();
    let known = |name: &str, label: &str| {
        // Prometheus adds `instance`.
        label == "instance" || exported.get(name).is_some_and(|labels| labels.contains(label))
    };
    let mut faults = Vec::new();
    for VectorSelector { name, matchers: Matchers { matchers, .. }, .. } in &asked.selectors {
        let name = name.as_deref().unwrap_or_default();
        if !exported.contains_key(name) {
            faults.push(format!("{expression}: the agent exports no {name}"));
        }
        let unknown = matchers.iter().map(|matcher| &matcher.name).chain(&asked.groupings);
        let unknown = unknown.filter(|label| !known(name, label));
        faults.extend(unknown.map(|label| format!("{expression}: {name} has no label {label}")));
    }
    faults
}

/// All strings under the key `expr`.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(expressions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

fn check(document: &Value, at_least: usize) {
    let expressions = expressions(document);
    assert!(expressions.len() >= at_least, "only {} expressions", expressions.len());
    let exported = exported();
    let faults: Vec<_> = expressions.iter().flat_map(|expression| faults(expression, &exported)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn alerts_use_what_is_exported() {
    let rules: Value = serde_saphyr::from_str(include_str!("../../deploy/alerts.yaml")).unwrap();
    check(&rules, 10);
    for rule in rules["spec"]["groups"][0]["rules"].as_array().unwrap() {
        assert!(rule["alert"].as_str().unwrap().starts_with("Palisade"), "{rule}");
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(), "{rule}");
    }
}

/// Each kernel parameter has one alert, which says what follows.
#[test]
fn alerts_tell_kernel_parameters_apart() {
    let rules: Value = serde_saphyr::from_str(include_str!("../../deploy/alerts.yaml")).unwrap();
    let alerts_for = |name: &str| -> Vec<String> {
        let is_for = |rule: &&Value| {
            let mut asked = Asked::default();
            walk_expr(&mut asked, &parser::parse(rule["expr"].as_str().unwrap()).unwrap()).unwrap();
            let mut matchers = asked.selectors.iter().flat_map(|selector| &selector.matchers.matchers);
            matchers.any(|matcher| matcher.name == "sysctl" && matcher.is_match(name))
        };
        let rules = rules["spec"]["groups"][0]["rules"].as_array().unwrap();
        rules.iter().filter(is_for).map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
    };
    for sysctl in Sysctl::ALL {
        let alert = match sysctl {
            Sysctl::ForwardIpv4 | Sysctl::ForwardIpv6 => "PalisadeNodeDoesNotForward",
            Sysctl::BridgeIpv4 | Sysctl::BridgeIpv6 => "PalisadeBridgesNotEnforced",
            Sysctl::BridgeVlan | Sysctl::SourceIpv4 => "PalisadePodsCanForge",
        };
        assert_eq!(alerts_for(sysctl.name()), [alert], "{}", sysctl.name());
    }
}

#[test]
fn the_dashboard_uses_what_is_exported() {
    let dashboard: Value = serde_json::from_str(include_str!("../../deploy/grafana-dashboard.json")).unwrap();
    check(&dashboard, 20);
    let variable = &dashboard["templating"]["list"][1]["query"]["query"];
    assert_eq!(variable, "label_values(palisade_build_info, instance)");
}

/// What is not looked at is not needed.
#[test]
fn all_that_is_exported_is_on_the_dashboard() {
    let dashboard: Value = serde_json::from_str(include_str!("../../deploy/grafana-dashboard.json")).unwrap();
    let mut asked = Asked::default();
    for expression in expressions(&dashboard) {
        walk_expr(&mut asked, &parser::parse(&expression.replace("$__rate_interval", "5m")).unwrap()).unwrap();
    }
    let shown: BTreeSet<String> = asked.selectors.into_iter().filter_map(|selector| selector.name).collect();
    let shown = |name: &String| {
        let histogram = ["_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        shown.contains(name) || histogram.is_some_and(|name| shown.contains(&format!("{name}_bucket")))
    };
    let missing: Vec<String> = exported().into_keys().filter(|name| !shown(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_wrong_expression_is_found() {
    let exported = exported();
    assert!(faults("sum by (kind) (palisade_elements)", &exported).is_empty());
    let wrong = [
        "palisade_no_such_thing > 0",
        "rate(palisade_commits[5m])",
        r#"palisade_chains{colour="red"}"#,
        "sum by (colour) (palisade_chains)",
        "sum(",
    ];
    for expression in wrong {
        assert_eq!(faults(expression, &exported).len(), 1, "{expression}");
    }
}
