//! Rulesets as nft writes them.
//!
//! What is printed, `nft -f` loads, and what `nft list ruleset` prints afterwards differs only in how elements are
//! wrapped, in counts, and in names that nft has for numbers.

mod element;
mod rule;

use std::fmt::{self, Display, Formatter};

use crate::{
    BaseChain, Chain, Comment, ElementsKind, Hook, Name, NamedCounter, Rule, Ruleset, Set, Table, TableFamily,
};

/// The table as `nft list ruleset` shows it. What is foreign in it prints as comments.
impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { table, comment, chains, sets, counters, foreign } = self;
        writeln!(f, "table {table} {{")?;
        if let Some(comment) = comment {
            writeln!(f, "\t{}", quoted(comment))?;
        }
        for object in foreign {
            writeln!(f, "\t# not of ours: {}", object.escape_debug())?;
        }
        let mut separator = "";
        for (name, counter) in counters {
            f.write_str(separator)?;
            write_counter(f, name, counter)?;
            separator = "\n";
        }
        for (name, set) in sets {
            f.write_str(separator)?;
            write_set(f, name, set)?;
            separator = "\n";
        }
        for (name, chain) in chains {
            f.write_str(separator)?;
            write_chain(f, name, chain)?;
            separator = "\n";
        }
        writeln!(f, "}}")
    }
}

/// `inet palisade`.
impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            TableFamily::Inet => "inet",
            TableFamily::Bridge => "bridge",
        };
        write!(f, "{family} {}", self.name)
    }
}

/// As nft writes it.
impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
        })
    }
}

impl Ruleset {
    /// A script for `nft -f` that replaces the table, whether it is there or not, in one transaction.
    pub fn to_text(&self) -> String {
        let table = &self.table;
        format!("table {table}\ndelete table {table}\n{self}")
    }
}

/// `comment "..."`.
pub(crate) fn quoted(comment: &Comment) -> String {
    format!("comment \"{}\"", comment.as_str())
}

/// `set` or `map`.
pub(crate) fn set_keyword(kind: ElementsKind) -> &'static str {
    if kind.is_map() { "map" } else { "set" }
}

/// What a set's block begins with, one statement each.
pub(crate) fn set_attributes(kind: ElementsKind, comment: Option<&Comment>) -> Vec<String> {
    let flags = kind.is_interval().then(|| "flags interval".to_owned());
    let comment = comment.map(quoted);
    [Some(format!("type {}", set_type(kind))), flags, comment].into_iter().flatten().collect()
}

/// What a chain's block begins with, one statement each.
pub(crate) fn chain_attributes(base: Option<BaseChain>, comment: Option<&Comment>) -> Vec<String> {
    let hook =
        base.map(|BaseChain { hook, priority }| format!("type filter hook {hook} priority {priority}; policy accept;"));
    [comment.map(quoted), hook].into_iter().flatten().collect()
}

fn set_type(kind: ElementsKind) -> &'static str {
    match kind {
        ElementsKind::Ipv4 | ElementsKind::Ipv4Ranges => "ipv4_addr",
        ElementsKind::Ipv6 | ElementsKind::Ipv6Ranges => "ipv6_addr",
        ElementsKind::Ipv4Endpoints => "ipv4_addr . inet_proto . inet_service",
        ElementsKind::Ipv6Endpoints => "ipv6_addr . inet_proto . inet_service",
        ElementsKind::Ipv4Verdicts => "ipv4_addr : verdict",
        ElementsKind::Ipv6Verdicts => "ipv6_addr : verdict",
        ElementsKind::PortVerdicts | ElementsKind::PortRangeVerdicts => "inet_service : verdict",
        ElementsKind::Ipv4Pairs => "ipv4_addr . ipv4_addr",
        ElementsKind::Ipv6Pairs => "ipv6_addr . ipv6_addr",
        ElementsKind::Links => "ifname",
        ElementsKind::LinkVerdicts => "ifname : verdict",
    }
}

fn write_counter(f: &mut Formatter<'_>, name: &Name, counter: &NamedCounter) -> fmt::Result {
    let NamedCounter { comment } = counter;
    writeln!(f, "\tcounter {name} {{")?;
    comment.iter().try_for_each(|comment| writeln!(f, "\t\t{}", quoted(comment)))?;
    writeln!(f, "\t}}")
}

fn write_set(f: &mut Formatter<'_>, name: &Name, set: &Set) -> fmt::Result {
    let Set { elements, comment } = set;
    let kind = elements.kind();
    writeln!(f, "\t{} {name} {{", set_keyword(kind))?;
    for attribute in set_attributes(kind, comment.as_ref()) {
        writeln!(f, "\t\t{attribute}")?;
    }
    if !elements.is_empty() {
        write!(f, "\t\telements = {{ ")?;
        write_wrapped(f, elements.texts())?;
        writeln!(f, " }}")?;
    }
    writeln!(f, "\t}}")
}

/// The elements, comma separated, in lines of at most `WIDTH` bytes where one element is not longer.
fn write_wrapped(f: &mut Formatter<'_>, elements: impl Iterator<Item = String>) -> fmt::Result {
    const WIDTH: usize = 88;
    let (mut separator, mut width) = ("", 0);
    for element in elements {
        if width > 0 && width + element.len() > WIDTH {
            (separator, width) = (",\n\t\t\t     ", 0);
        }
        write!(f, "{separator}{element}")?;
        separator = ", ";
        width += element.len() + separator.len();
    }
    Ok(())
}

fn write_chain(f: &mut Formatter<'_>, name: &Name, chain: &Chain) -> fmt::Result {
    let Chain { base, rules, comment } = chain;
    writeln!(f, "\tchain {name} {{")?;
    for attribute in chain_attributes(*base, comment.as_ref()) {
        writeln!(f, "\t\t{attribute}")?;
    }
    for rule in rules {
        match rule {
            Rule::Own(statement) => writeln!(f, "\t\t{statement}")?,
            Rule::Foreign => writeln!(f, "\t\t# a rule that is not of ours")?,
        }
    }
    writeln!(f, "\t}}")
}
