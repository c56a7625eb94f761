//! A preview for people.

use super::data::{Isolation, Others, Preview, Way};
use crate::text::some_of;
use crate::verify::Remark;

/// How many lines a part has at most: JSON has all.
const LINES: usize = 40;
/// How many names stand for many.
const FEW: usize = 4;
/// How long the name of one end is at most, in bytes.
const NAME: usize = 130;

pub(super) fn text(preview: &Preview) -> String {
    let others = |sign: &'static str, ports: fn(&Others) -> &Vec<String>| {
        let changed = preview.others.iter().filter(move |others| !ports(others).is_empty());
        changed.map(move |others| {
            let (from, to) = (anybody(&others.from), anybody(&others.to));
            format!("{sign} {from} -> {to}  {}, where no rule names them", ports(others).join(", "))
        })
    };
    let ways = |sign: &'static str, ways: &[Way]| ways.iter().map(|way| line(sign, way)).collect::<Vec<_>>();
    let opens: Vec<String> = others("+", |others| &others.opens).chain(ways("+", &preview.opens)).collect();
    let closes: Vec<String> = others("-", |others| &others.closes).chain(ways("-", &preview.closes)).collect();
    let stays: Vec<String> = preview.stays.iter().map(|pair| format!("= {} -> {}", pair.from, pair.to)).collect();
    let isolation =
        |all: &[Isolation]| all.iter().map(|one| format!("{} for {}", one.workload, one.direction)).collect::<Vec<_>>();
    let remark = |one: &Remark| format!("{} {}: {}: {}", one.policy, one.field, one.code, one.reason);
    let lint: Vec<String> = preview.lint.iter().flatten().map(remark).collect();
    let nothing = if opens.is_empty() && closes.is_empty() { "No way opens and none closes.\n" } else { "" };
    [
        nothing.to_owned(),
        part("Opens", &opens),
        part("Closes", &closes),
        part("Stays as it is, as named by rules", &stays),
        part("Becomes isolated", &isolation(&preview.isolated)),
        part("Is no longer isolated", &isolation(&preview.no_longer_isolated)),
        part("Comes", &preview.new_workloads),
        part("Goes", &preview.gone_workloads),
        part("Selects nobody", &preview.select_nobody),
        part("Was to be deleted and is not there", &preview.not_found),
        part("Surely not meant", &lint),
    ]
    .concat()
}

fn part(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let shown: String = lines.iter().take(LINES).map(|line| format!("  {line}\n")).collect();
    let more = lines.len().saturating_sub(LINES);
    let more = if more > 0 { format!("  and {more} more: see -o json\n") } else { String::new() };
    format!("{title} ({}):\n{shown}{more}", lines.len())
}

fn line(sign: &str, way: &Way) -> String {
    let by = if way.by.is_empty() { String::new() } else { format!("  by {}", some_of(&way.by, FEW, NAME, ", ")) };
    format!("{sign} {} -> {}  {}{by}", way.from, way.to, some_of(&way.ports, FEW, NAME, ", "))
}

fn anybody(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        _ => format!("any of {} ({})", names.len(), some_of(names, FEW, NAME, ", ")),
    }
}
