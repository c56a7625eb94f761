//! What the kernel lists of our table, as values. Whatever the bytes are, reading them ends with a value or an error.

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::{Attribute, Attributes, Malformed};
use super::constants::*;
use super::elements::Element;
use super::message::Messages;
use super::{chain, elements, object, rule, set, userdata};
use crate::{Chain, Comment, CounterValue, Elements, ElementsKind, Name, NamedCounter, Rule, Ruleset, Set, Table};

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableState {
    /// `NFT_TABLE_F_...`
    pub(super) flags: u32,
    /// The port of the socket that owns it.
    pub(super) owner: Option<u32>,
    comment: Option<Comment>,
}

impl TableState {
    /// Whether it is left behind by an owner that has gone, for the next one to adopt.
    pub(super) fn is_orphan(&self) -> bool {
        self.flags & NFT_TABLE_F_PERSIST != 0 && self.owner.is_none()
    }
}

/// A rule, and the chain that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    chain: Option<Name>,
    rule: Rule,
    counter: Option<CounterValue>,
}

/// The content of a table, as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The table itself.
    pub(super) table: TableState,
    /// Its chains.
    pub(super) chains: Vec<chain::Found>,
    /// Its sets and maps, and the elements of those that we could have made, unless there is one that we could not.
    pub(super) sets: Vec<(set::Found, Option<Elements>)>,
    /// Its rules, in order.
    pub(super) rules: Vec<Placed>,
    /// Its stateful objects.
    pub(super) objects: Vec<object::Found>,
    /// The names of its flowtables.
    pub(super) flowtables: Vec<String>,
}

/// The table, if it is there.
pub(super) fn table(bytes: &[u8], table: &Table) -> Result<Option<TableState>, Malformed> {
    let Some(attributes) = objects(bytes, NFT_MSG_NEWTABLE, table)?.pop() else { return Ok(None) };
    let number = |kind| attributes.find(kind)?.map(|attribute| attribute.be32()).transpose();
    let comment = attributes.find(NFTA_TABLE_USERDATA)?;
    Ok(Some(TableState {
        flags: number(NFTA_TABLE_FLAGS)?.unwrap_or_default(),
        owner: number(NFTA_TABLE_OWNER)?,
        comment: comment.and_then(|data| userdata::comment(data.value, userdata::COMMENT)),
    }))
}

/// The chains of `table`.
pub(super) fn chains(bytes: &[u8], table: &Table) -> Result<Vec<chain::Found>, Malformed> {
    objects(bytes, NFT_MSG_NEWCHAIN, table)?.into_iter().map(chain::read).collect()
}

/// The sets and maps of `table`.
pub(super) fn sets(bytes: &[u8], table: &Table) -> Result<Vec<set::Found>, Malformed> {
    objects(bytes, NFT_MSG_NEWSET, table)?.into_iter().map(set::read).collect()
}

/// The elements of a set, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// All of them.
    Whole(Elements),
    /// There are some that we could not have written.
    Foreign,
    /// Some are listed twice, and others then may not be at all. The kernel lists a hash set from one datagram to the
    /// next by position, and positions change while it makes the hash table larger, which it does after the commit.
    Torn,
}

/// The elements of a set of `table`, of type `kind`.
pub(super) fn elements(bytes: &[u8], table: &Table, kind: ElementsKind) -> Result<Listed, Malformed> {
    let mut read = Some(Vec::new());
    for message in objects(bytes, NFT_MSG_NEWSETELEM, table)? {
        let list = message.find(NFTA_SET_ELEM_LIST_ELEMENTS)?.map_or(Attributes(&[]), |list| list.nested());
        for element in list {
            match (Element::read(element?)?, &mut read) {
                (Some(element), Some(read)) => read.push(element),
                _ => read = None,
            }
        }
    }
    let count = read.as_ref().map_or(0, Vec::len);
    Ok(match read.and_then(|read| elements::collect(kind, read)) {
        Some(elements) if !kind.is_interval() && elements.len() != count => Listed::Torn,
        Some(elements) => Listed::Whole(elements),
        None => Listed::Foreign,
    })
}

/// The rules of `table`.
pub(super) fn rules(bytes: &[u8], table: &Table) -> Result<Vec<Placed>, Malformed> {
    let placed = |message: Attributes<'_>| {
        let chain = message.find(NFTA_RULE_CHAIN)?.and_then(|chain| Name::new(&*chain.text()).ok());
        let (rule, counter) = rule::read(message, table.family)?;
        Ok(Placed { chain, rule, counter })
    };
    objects(bytes, NFT_MSG_NEWRULE, table)?.into_iter().map(placed).collect()
}

/// The stateful objects of `table`.
pub(super) fn stateful(bytes: &[u8], table: &Table) -> Result<Vec<object::Found>, Malformed> {
    objects(bytes, NFT_MSG_NEWOBJ, table)?.into_iter().map(object::read).collect()
}

/// The names of the flowtables of `table`.
pub(super) fn flowtables(bytes: &[u8], table: &Table) -> Result<Vec<String>, Malformed> {
    let name = |message: Attributes<'_>| {
        Ok(message.find(NFTA_FLOWTABLE_NAME)?.map(|name| name.text().into_owned()).unwrap_or_default())
    };
    objects(bytes, NFT_MSG_NEWFLOWTABLE, table)?.into_iter().map(name).collect()
}

/// The number of the ruleset's generation.
pub(super) fn generation(bytes: &[u8]) -> Result<u32, Malformed> {
    for message in Messages(bytes) {
        let message = message?;
        if message.nftables_kind() == Some(NFT_MSG_NEWGEN)
            && let Some(generation) = message.content()?.1.find(NFTA_GEN_ID)?
        {
            return generation.be32();
        }
    }
    Err(Malformed("no generation where one was asked for"))
}

/// What each chain's rules have counted together, of the chains that have rules that count.
pub(super) fn counters(rules: &[Placed]) -> BTreeMap<Name, CounterValue> {
    let mut counters = BTreeMap::<_, CounterValue>::new();
    for Placed { chain, counter, .. } in rules {
        if let (Some(chain), Some(counted)) = (chain, counter) {
            let sum = counters.entry(chain.clone()).or_default();
            sum.packets = sum.packets.saturating_add(counted.packets);
            sum.bytes = sum.bytes.saturating_add(counted.bytes);
        }
    }
    counters
}

/// What the named counters among `objects` have counted.
pub(super) fn named_counters(objects: Vec<object::Found>) -> BTreeMap<Name, CounterValue> {
    let value = |found| match found {
        object::Found::Counter { name, value, .. } => Some((name, value)),
        object::Found::Foreign { .. } => None,
    };
    objects.into_iter().filter_map(value).collect()
}

/// The contents of `table` as a ruleset.
pub(super) fn ruleset(table: Table, contents: Contents) -> Ruleset {
    let flowtables = contents.flowtables.into_iter();
    let mut foreign: BTreeSet<String> = flowtables.map(|name| format!("flowtable {name}")).collect();
    if contents.table.flags & NFT_TABLE_F_DORMANT != 0 {
        foreign.insert("flags dormant".to_owned());
    }
    let mut chains = BTreeMap::new();
    for found in contents.chains {
        match found {
            chain::Found::Own { name, base, comment } => {
                chains.insert(name, Chain { base, rules: Vec::new(), comment });
            }
            chain::Found::Foreign { name } => drop(foreign.insert(format!("chain {name}"))),
            chain::Found::OfRule => {}
        }
    }
    for Placed { chain, rule, .. } in contents.rules {
        if let Some(chain) = chain.and_then(|chain| chains.get_mut(&chain)) {
            chain.rules.push(rule);
        }
    }
    let mut sets = BTreeMap::new();
    for found in contents.sets {
        match found {
            (set::Found::Own { name, comment, .. }, Some(elements)) => {
                sets.insert(name, Set { elements, comment });
            }
            (set::Found::Own { name, .. }, None) => drop(foreign.insert(format!("set {name}"))),
            (set::Found::Foreign { name }, _) => drop(foreign.insert(format!("set {name}"))),
            (set::Found::OfRule, _) => {}
        }
    }
    let mut counters = BTreeMap::new();
    for found in contents.objects {
        match found {
            object::Found::Counter { name, comment, .. } => drop(counters.insert(name, NamedCounter { comment })),
            object::Found::Foreign { name } => drop(foreign.insert(format!("object {name}"))),
        }
    }
    Ruleset { table, comment: contents.table.comment, chains, sets, counters, foreign }
}

/// The messages of type `kind` that are about objects of `table`, which all kinds name in the same attribute.
fn objects<'a>(bytes: &'a [u8], kind: u8, table: &Table) -> Result<Vec<Attributes<'a>>, Malformed> {
    let mut found = Vec::new();
    for message in Messages(bytes) {
        let message = message?;
        if message.nftables_kind() != Some(kind) {
            continue;
        }
        let (family, attributes) = message.content()?;
        let name = attributes.find(NFTA_TABLE_NAME)?;
        if is_named(table, family, name) {
            found.push(attributes);
        }
    }
    Ok(found)
}

/// Whether `table` is meant by a message's family and the name in it.
pub(super) fn is_named(table: &Table, family: u8, name: Option<Attribute<'_>>) -> bool {
    family == table.family.number() && name.is_some_and(|name| name.text() == table.name.as_str())
}
