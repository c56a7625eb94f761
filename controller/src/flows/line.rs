//! A record as a line for a person.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use palisade_model::Direction;

use super::record::{LocalPod, Peer, Record, Verdict};

/// How wide the two ends are at least: those of usual names fit.
const ENDS: usize = 44;

/// How lines are written.
#[derive(Clone, Debug)]
pub struct Lines {
    zone: TimeZone,
    /// The day of which times need no date.
    today: Option<Date>,
    /// Whether they name the node, and how wide that column is.
    node: Option<usize>,
    styles: Styles,
}

#[derive(Clone, Copy, Debug, Default)]
struct Styles {
    faint: Style,
    dropped: Style,
    would_drop: Style,
    allowed: Style,
    end: Style,
}

impl Styles {
    const COLOURED: Self = Self {
        faint: Style::new().dimmed(),
        dropped: AnsiColor::Red.on_default(),
        would_drop: AnsiColor::Yellow.on_default(),
        allowed: AnsiColor::Green.on_default(),
        end: Style::new().bold(),
    };
}

impl Lines {
    /// Without colours.
    pub fn plain(zone: TimeZone) -> Self {
        Self { zone, today: None, node: None, styles: Styles::default() }
    }

    /// With colours, for a terminal.
    pub fn coloured(zone: TimeZone) -> Self {
        Self { styles: Styles::COLOURED, ..Self::plain(zone) }
    }

    /// With the date, where it is another one than this time has.
    #[must_use]
    pub fn with_dates_but(self, now: Timestamp) -> Self {
        Self { today: Some(now.to_zoned(self.zone.clone()).date()), ..self }
    }

    /// With the node, in a column of this width.
    #[must_use]
    pub fn with_node(self, width: usize) -> Self {
        Self { node: Some(width), ..self }
    }

    /// The line of a record, without its end:
    /// `22:56:12  ingress  dropped     shop/web-1 -> shop/db-0  TCP 80  ×3  shop/db spec.ingress[0] admits …`.
    pub fn line(&self, record: &Record) -> String {
        let Styles { faint, dropped, would_drop, allowed, end } = self.styles;
        let of_verdict = match record.verdict {
            Verdict::Dropped => dropped,
            Verdict::WouldDrop => would_drop,
            Verdict::Allowed => allowed,
            Verdict::Other => Style::new(),
        };
        let mut line = format!("{faint}{}{faint:#}  ", self.time(record.time));
        if let Some(width) = self.node {
            put(&mut line, format_args!("{:width$}  ", printable(&record.node)));
        }
        put(&mut line, format_args!("{:7}  ", record.direction.to_string()));
        put(&mut line, format_args!("{of_verdict}{:10}{of_verdict:#}  ", record.verdict.name()));
        put(&mut line, format_args!("{end}{:ENDS$}{end:#}  ", ends(record)));
        put(&mut line, format_args!("{:9}  ", service(record)));
        put(&mut line, format_args!("{:5}  {}", amount(record), printable(record.says())));
        line
    }

    /// The time of day, with the date where that is another one.
    pub fn time(&self, time: Timestamp) -> String {
        let time = time.to_zoned(self.zone.clone());
        let is_today = self.today.is_none_or(|today| today == time.date());
        time.strftime(if is_today { "%H:%M:%S" } else { "%b %d %H:%M:%S" }).to_string()
    }
}

/// As [`Lines::line`] in UTC, without colours.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Lines::plain(TimeZone::UTC).line(self))
    }
}

impl Record {
    /// Why, in a sentence: what is lacking where that is known.
    pub fn says(&self) -> &str {
        self.nearest.as_ref().map_or(&self.text, |nearest| &nearest.text)
    }
}

/// Its protocol and port, as `TCP 80`.
pub(crate) fn service(record: &Record) -> String {
    match record.port {
        Some(port) => format!("{} {port}", record.protocol),
        None => record.protocol.to_string(),
    }
}

/// How much it stands for: packets, as `×3`, or connections, as `×3 connections, 1 ended`.
fn amount(record: &Record) -> String {
    let Record { packets, connections, ended, .. } = record;
    let begun = match connections {
        None | Some(0) => None,
        Some(1) => Some("×1 connection".to_owned()),
        Some(connections) => Some(format!("×{connections} connections")),
    };
    let ended = ended.filter(|ended| *ended > 0);
    match (begun, ended) {
        (None, None) => format!("×{packets}"),
        (Some(begun), None) => begun,
        (None, Some(ended)) => format!("×{ended} ended"),
        (Some(begun), Some(ended)) => format!("{begun}, {ended} ended"),
    }
}

/// `text` with what a terminal would not show, or obey, as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// Who sends to whom.
fn ends(record: &Record) -> String {
    let (pod, peer) = (local(&record.pod), remote(&record.peer));
    let (from, to) = match record.direction {
        Direction::Egress => (pod, peer),
        Direction::Ingress => (peer, pod),
    };
    printable(&format!("{from} -> {to}"))
}

fn local(LocalPod { namespace, name, address, .. }: &LocalPod) -> String {
    if name.is_empty() { address.to_string() } else { format!("{namespace}/{name}") }
}

fn remote(Peer { address, pod, node, service, .. }: &Peer) -> String {
    let through = service.as_ref().map(|service| format!(" (Service {service})")).unwrap_or_default();
    match (pod, node) {
        (Some(pod), _) => format!("{}/{}{through}", pod.namespace, pod.name),
        (None, Some(node)) => format!("{address} (node {node}){through}"),
        (None, None) => format!("{address}{through}"),
    }
}

fn put(line: &mut String, text: fmt::Arguments<'_>) {
    line.write_fmt(text).expect("writing into a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{allowed, from_address, record};
    use super::*;

    #[test]
    fn a_record_is_one_line_of_columns() {
        let expected = "22:56:12  ingress  dropped     shop/web-1 -> shop/db-0                       TCP 80     ×3     \
                        shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web";
        assert_eq!(record().to_string(), expected);
        let sent = Record { direction: Direction::Egress, port: None, nearest: None, ..from_address([192, 0, 2, 7]) };
        let expected = "22:56:12  egress   dropped     shop/db-0 -> 192.0.2.7                        TCP        ×3     \
                        no rule of shop/db admits it";
        assert_eq!(sent.to_string(), expected);
    }

    #[test]
    fn ends_are_named_as_far_as_they_are_known() {
        let mut peer = from_address([192, 0, 2, 7]).peer;
        peer.node = Some("worker-2".to_owned());
        assert_eq!(remote(&peer), "192.0.2.7 (node worker-2)");
        peer.service = Some("shop/db".to_owned());
        assert_eq!(remote(&peer), "192.0.2.7 (node worker-2) (Service shop/db)");
        let unknown = LocalPod { namespace: String::new(), name: String::new(), ..record().pod };
        assert_eq!(local(&unknown), "10.0.1.1");
    }

    #[test]
    fn of_what_was_allowed_connections_are_counted() {
        let amounts = [(1, 0), (3, 0), (0, 2), (3, 1)].map(|(begun, ended)| amount(&allowed(begun, ended)));
        assert_eq!(amounts, ["×1 connection", "×3 connections", "×2 ended", "×3 connections, 1 ended"]);
        let line = allowed(3, 0).to_string();
        assert!(line.contains("  allowed     shop/web-1 -> shop/db-0 "), "{line}");
        assert!(line.ends_with("  ×3 connections  allowed by shop/db spec.ingress[0]"), "{line}");
    }

    #[test]
    fn times_are_the_terminals_and_nodes_are_named_where_there_are_many() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let line = Lines::plain(zone).with_node(10).line(&record());
        assert!(line.starts_with("00:56:12  worker-1    ingress  "), "{line}");
    }

    #[test]
    fn another_day_has_its_date() {
        let time = |now: &str| Lines::plain(TimeZone::UTC).with_dates_but(now.parse().unwrap()).time(record().time);
        assert_eq!(time("2026-11-28T00:00:00Z"), "22:56:12");
        assert_eq!(time("2026-11-29T00:00:00Z"), "Nov 28 22:56:12");
    }

    #[test]
    fn colours_change_nothing_else() {
        let coloured = Lines::coloured(TimeZone::UTC).line(&record());
        assert!(coloured.contains("\u{1b}[31mdropped"), "{coloured:?}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), record().to_string());
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        let odd = Record { nearest: None, text: "a\u{1b}[2Jb\n\u{202e}c\u{9b}ä \"d\" 'e' \\".to_owned(), ..record() };
        let line = odd.to_string();
        assert!(line.ends_with("a\\u{1b}[2Jb\\n\\u{202e}c\\u{9b}ä \"d\" 'e' \\"), "{line}");
        assert!(!line.contains(|character: char| character.is_control()));
    }
}
