use std::fmt::{self, Display, Formatter};

use super::{Operation, Transaction};
use crate::text::{chain_attributes, quoted, set_attributes, set_keyword};
use crate::{Elements, Table};

impl Transaction {
    /// The transaction as commands that `nft -f` takes, for `table`.
    pub fn to_commands(&self, table: &Table) -> String {
        let within = table.to_string();
        self.operations.iter().map(|operation| format!("{}\n", Command { operation, within: &within })).collect()
    }
}

/// One operation a line, in nft's words, without the table's name.
impl Display for Transaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.operations.iter().try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

/// In nft's words, without the table's name.
impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Command { operation: self, within: "" }.fmt(f)
    }
}

struct Command<'a> {
    operation: &'a Operation,
    within: &'a str,
}

impl Display for Command<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = |words: [&str; 4]| words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let command = |verb: &str, object: &str, name: &str| words([verb, object, self.within, name]);
        match self.operation {
            Operation::CreateTable { comment } => {
                let attributes: Vec<String> = comment.iter().map(quoted).collect();
                write!(f, "{}{}", command("add", "table", ""), block(&attributes))
            }
            Operation::DeleteTable => f.write_str(&command("delete", "table", "")),
            Operation::CreateChain { name, base, comment } => {
                let attributes = chain_attributes(*base, comment.as_ref());
                write!(f, "{}{}", command("add", "chain", name.as_str()), block(&attributes))
            }
            Operation::CreateSet { name, kind, comment } => {
                let attributes = set_attributes(*kind, comment.as_ref());
                write!(f, "{}{}", command("add", set_keyword(*kind), name.as_str()), block(&attributes))
            }
            Operation::CreateCounter { name, comment } => {
                let attributes: Vec<String> = comment.iter().map(quoted).collect();
                write!(f, "{}{}", command("add", "counter", name.as_str()), block(&attributes))
            }
            Operation::DeleteElements { set, elements } => {
                write!(f, "{} {{ {} }}", command("delete", "element", set.as_str()), list(elements))
            }
            Operation::AddElements { set, elements } => {
                write!(f, "{} {{ {} }}", command("add", "element", set.as_str()), list(elements))
            }
            Operation::FlushChain { chain } => f.write_str(&command("flush", "chain", chain.as_str())),
            Operation::AddRule { chain, rule } => write!(f, "{} {rule}", command("add", "rule", chain.as_str())),
            Operation::DeleteSet { name } => f.write_str(&command("delete", "set", name.as_str())),
            Operation::DeleteCounter { name } => f.write_str(&command("delete", "counter", name.as_str())),
            Operation::DeleteChain { name } => f.write_str(&command("delete", "chain", name.as_str())),
        }
    }
}

fn block(attributes: &[String]) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let statements: String = attributes.iter().map(|a| format!("{}; ", a.trim_end_matches(';'))).collect();
    format!(" {{ {statements}}}")
}

fn list(elements: &Elements) -> String {
    elements.texts().collect::<Vec<_>>().join(", ")
}
