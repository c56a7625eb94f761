//! A preview for people.

use jiff::Timestamp;

use super::data::{Idle, Isolation, Others, Preview, Way};
use super::live::{By, Cut, Live, Refused};
use crate::text::{age, bytes, shorten, some_of};
use crate::verify::Remark;

/// How many lines a part has at most: JSON has all.
const LINES: usize = 40;
/// How many names stand for many.
const FEW: usize = 4;
/// How long the name of one end is at most, in bytes.
const NAME: usize = 130;
/// How long a sentence is at most, in bytes.
const SENTENCE: usize = 300;

pub(super) fn text(preview: &Preview, now: Timestamp) -> String {
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
        part("Changes nothing", &preview.no_effect.iter().map(idle).collect::<Vec<_>>()),
        part("Was to be deleted and is not there", &preview.not_found),
        part("Surely not meant", &lint),
        preview.live.as_ref().map(|live| of_live(live, now)).unwrap_or_default(),
    ]
    .concat()
}

fn idle(Idle { policy, goes, beside }: &Idle) -> String {
    let goes = if *goes { ", which goes" } else { "" };
    match &**beside {
        [] => format!("{policy}{goes}: it allows everything, and nobody else judges its pods"),
        beside => format!("{policy}{goes}: all is as without it, by {}", some_of(beside, FEW, NAME, ", ")),
    }
}

fn of_live(live: &Live, now: Timestamp) -> String {
    let cut = live.cut.as_ref().map(|cut| match &**cut {
        [] => "No open connection is cut.\n".to_owned(),
        cut => part("Cuts open connections", &cut.iter().map(|one| self::cut(one, now)).collect::<Vec<_>>()),
    });
    let refused: Vec<String> = live.refused.iter().map(|one| refused(one, now)).collect();
    let none = format!("Nothing is refused that was recorded ({} flows were looked at).\n", live.judged);
    let refused = if refused.is_empty() { none } else { part("Refuses what was recorded", &refused) };
    [cut.unwrap_or_default(), refused, part("Not known", &live.gaps.told(live.gone))].concat()
}

fn cut(Cut { from, to, port, connections, oldest, bytes: carried, by }: &Cut, now: Timestamp) -> String {
    let oldest = oldest.map(|oldest| match connections {
        1 => format!(", {} old", age(now, oldest)),
        _ => format!(", the oldest {}", age(now, oldest)),
    });
    let carried = carried.map(|carried| format!(", {}", bytes(carried)));
    let [oldest, carried] = [oldest, carried].map(Option::unwrap_or_default);
    format!("- {from} -> {to}  {port}  {}{oldest}{carried}{}", counted(*connections), told(by))
}

fn refused(Refused { from, to, port, connections, last, by }: &Refused, now: Timestamp) -> String {
    format!("- {from} -> {to}  {port}  {}, the last {} ago{}", counted(*connections), age(now, *last), told(by))
}

fn counted(connections: u64) -> String {
    format!("×{connections} connection{}", if connections == 1 { "" } else { "s" })
}

fn told(By { by, why }: &By) -> String {
    let by: Vec<&String> = by.iter().collect();
    let why = why.first().map(|why| format!(" ({})", shorten(why, SENTENCE))).unwrap_or_default();
    format!("  by {}{why}", some_of(&by, FEW, NAME, ", "))
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
