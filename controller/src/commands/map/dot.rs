//! A map for Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::data::{Map, Workload};

/// How many ports an edge is labelled with.
const FEW: usize = 4;

/// Workloads that are open in a direction are drawn with a thick border; ways that are denied, dashed.
pub(super) fn text(map: &Map) -> String {
    let mut text =
        "digraph reach {\n  rankdir=LR;\n  node [shape=box, style=\"rounded\", fontname=\"sans-serif\"];\n  \
                    edge [fontname=\"sans-serif\", fontsize=10];\n"
            .to_owned();
    let mut namespaces = BTreeMap::<&str, Vec<&Workload>>::new();
    map.workloads.iter().for_each(|workload| namespaces.entry(&workload.namespace).or_default().push(workload));
    for (number, (namespace, workloads)) in namespaces.into_iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(namespace));
        workloads.into_iter().for_each(|workload| text += &node(workload));
        text += "  }\n";
    }
    let met: BTreeSet<usize> = map.edges.iter().flat_map(|way| [way.from, way.to]).collect();
    for outside in map.outside.iter().filter(|outside| met.contains(&outside.id)) {
        let _ = writeln!(text, "  n{} [label={}, shape=ellipse];", outside.id, quoted(&outside.name));
    }
    for way in &map.edges {
        let style = if way.ports.is_empty() { ", style=dashed, color=red" } else { "" };
        let _ = writeln!(text, "  n{} -> n{} [label={}{style}];", way.from, way.to, quoted(&label(&way.ports)));
    }
    text + "}\n"
}

fn node(workload: &Workload) -> String {
    let open: Vec<&str> = [("in", workload.ingress.open), ("out", workload.egress.open)]
        .into_iter()
        .filter_map(|(direction, open)| open.then_some(direction))
        .collect();
    let (label, style) = match &*open {
        [] => (workload.name.clone(), ""),
        open => (format!("{}\nopen: {}", workload.name, open.join(", ")), ", color=darkorange, penwidth=3"),
    };
    format!("    n{} [label={}{style}];\n", workload.id, quoted(&label))
}

fn label(ports: &[String]) -> String {
    match ports {
        [] => "denied".to_owned(),
        ports if ports.len() > FEW => format!("{}\nand {} more", ports[..FEW].join("\n"), ports.len() - FEW),
        ports => ports.join("\n"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
