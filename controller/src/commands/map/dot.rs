//! A map for Graphviz.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::data::{Map, Workload};
use super::usage::{Use, Used};

/// How many ports an edge is labelled with.
const FEW: usize = 4;

/// Workloads that are open in a direction are drawn with a thick border; ways that are denied, dashed; those
/// that nothing uses, dotted; what passed and is not allowed now, red.
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
    let met = map.met();
    for outside in map.outside.iter().filter(|outside| met.contains(&outside.id)) {
        let _ = writeln!(text, "  n{} [label={}, shape=ellipse];", outside.id, quoted(&outside.name));
    }
    for way in &map.edges {
        let (label, style) = match &way.used {
            _ if way.ports.is_empty() => ("denied".to_owned(), ", style=dashed, color=red"),
            Some(Used { connections: 0, .. }) => (label(&way.ports), ", style=dotted, color=gray, fontcolor=gray"),
            Some(used) => (format!("{}\n×{}", label(&way.ports), used.connections), ", penwidth=2"),
            None => (label(&way.ports), ""),
        };
        let _ = writeln!(text, "  n{} -> n{} [label={}{style}];", way.from, way.to, quoted(&label));
    }
    let usage = map.usage.iter();
    let others = usage.clone().flat_map(|usage| &usage.others).map(|one| (one, "", ", penwidth=2, color=gray"));
    let refused = usage.flat_map(|usage| &usage.refused);
    let refused = refused.map(|one| (one, ", not allowed now", ", penwidth=2, color=red, fontcolor=red"));
    for (Use { from, to, port, connections, .. }, says, style) in others.chain(refused) {
        let label = format!("{port} ×{connections}{says}");
        let _ = writeln!(text, "  n{from} -> n{to} [label={}{style}];", quoted(&label));
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
        ports if ports.len() > FEW => format!("{}\nand {} more", ports[..FEW].join("\n"), ports.len() - FEW),
        ports => ports.join("\n"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
