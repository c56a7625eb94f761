//! Policies to apply, with comments that say why.

use std::collections::BTreeSet;

use serde_json::Value;

use super::report::{Also, Block, Reasons, Report, Told, count, said};
use crate::flows::printable;

/// How many lines say why there is one rule.
const FLOWS: usize = 12;
/// How many lines say one sort of thing at the beginning.
const LINES: usize = 30;

/// The file.
///
/// # Errors
/// Where an object cannot be written as YAML.
pub(super) fn yaml(report: &Report) -> anyhow::Result<String> {
    let mut text = head(report);
    for (policy, rules) in report.policies.iter().zip(&report.rules) {
        text.push_str("---\n");
        text.push_str(&document(policy, rules, report)?);
    }
    Ok(text)
}

fn head(report: &Report) -> String {
    let counts: Vec<String> =
        count(&report.policies).iter().map(|(name, count)| format!("{count} for {name}")).collect();
    let rest =
        if report.also_passes.is_empty() && report.widened.is_empty() { "nothing else" } else { "what is said below" };
    let flows = report.flows.len() - left_out(report);
    let made = format!("NetworkPolicies that let {flows} flows pass, and {rest}: {}.", counts.join(", "));
    let proof = format!(
        "Held against {} expectations, of which {} are met.",
        report.proof.met + report.proof.unmet.len(),
        report.proof.met
    );
    let told = |one: &Told| {
        format!("{} ({}): {}", one.flow, said(one.connections, one.last.as_deref(), one.last.is_none()), one.why)
    };
    let also = |one: &Also| {
        let by = if one.by.is_empty() { String::new() } else { format!(", by {}", one.by.join(", ")) };
        format!("{} -> {} {}{by}: {}", one.from, one.to, one.ports.join(", "), one.why)
    };
    let alike = |names: &Vec<String>| format!("{}: what one of them may, all may", names.join(", "));
    let block = |one: &Block| {
        format!(
            "{} stands for {} addresses, {} of {}",
            one.block,
            one.networks,
            one.direction,
            one.workloads.join(", ")
        )
    };
    let parts = [
        part("Not met", report.proof.unmet.iter().cloned()),
        part(
            "Replaces these, which go on to allow what they do until they are deleted",
            report.replaces.iter().cloned(),
        ),
        part("Said by no policy", report.told.iter().map(told)),
        part("Passes as well", report.also_passes.iter().map(also)),
        part("Alike, by their labels", report.alike.iter().map(alike)),
        part("Wider than what was seen", report.widened.iter().map(block)),
        part("To be thought of", report.notes.iter().cloned()),
    ];
    comments("", [made, proof].into_iter().chain(parts.into_iter().flatten()))
}

fn left_out(report: &Report) -> usize {
    let said: BTreeSet<&usize> = report.rules.iter().flatten().flat_map(|rule| &rule.flows).collect();
    report.flows.len() - said.len()
}

fn part(title: &str, lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let count = lines.len();
    if count == 0 {
        return Vec::new();
    }
    let more = count.saturating_sub(LINES);
    let more = (more > 0).then(|| format!("  and {more} more: see -o json"));
    let lines = lines.take(LINES).map(|line| format!("  {line}"));
    [format!("{title} ({count}):")].into_iter().chain(lines).chain(more).collect()
}

/// Lines of comments. Names may be whatever somebody wrote: none of them ends a line.
fn comments(indent: &str, lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("{indent}# {}\n", printable(&line))).collect()
}

/// The object, in which each rule has a comment.
fn document(policy: &Value, rules: &[Reasons], report: &Report) -> anyhow::Result<String> {
    let mut bare = policy.clone();
    let mut take = |name| bare.get_mut("spec")?.as_object_mut()?.remove(name);
    let lists = ["ingress", "egress"].map(|name| (name, take(name)));
    // What is left ends with the spec, which goes on.
    let mut text = serde_saphyr::to_string(&bare)?;
    for (name, written) in &lists {
        let written = written.as_ref().and_then(Value::as_array).filter(|written| !written.is_empty());
        if let Some(written) = written {
            text.push_str(&list(name, written, rules, report)?);
        }
    }
    Ok(text)
}

fn list(name: &str, written: &[Value], rules: &[Reasons], report: &Report) -> anyhow::Result<String> {
    let mut text = format!("  {name}:\n");
    for (at, rule) in written.iter().enumerate() {
        let field = format!("spec.{name}[{at}]");
        let reasons = rules.iter().find(|reasons| reasons.field == field);
        let flows = reasons.map(|reasons| &reasons.flows[..]).unwrap_or_default();
        let more = flows.len().saturating_sub(FLOWS);
        let more = (more > 0).then(|| format!("and {more} more flows: see -o json"));
        let lines = flows.iter().take(FLOWS).map(|flow| report.flows[*flow].text.clone());
        text.push_str(&comments("  ", lines.chain(more)));
        let item = serde_saphyr::to_string(&[rule])?;
        text.extend(item.lines().map(|line| format!("  {line}\n")));
    }
    Ok(text)
}
