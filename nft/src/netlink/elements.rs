//! The elements of a set, as the kernel keeps them: a range is its first key, and the key after its last one, marked as
//! an end. A range up to the highest key has no end.

mod key;

use std::collections::{BTreeMap, BTreeSet};

use self::key::{Key, Point};
use super::attributes::{Attribute, Malformed, Writer};
use super::constants::*;
use super::message::{Message, TooLong};
use super::verdict;
use crate::{Elements, ElementsKind, Name, Range, Table, Verdict};

/// Where a list of elements is cut: well below [`Message::MAX`], so that the names of table and set, and one more range
/// with its verdict, have room.
const CHUNK: usize = 60_000;

/// `NFTNL_UDATA_SET_ELEM_FLAGS` with `NFTNL_SET_ELEM_F_INTERVAL_OPEN`: what `nft` writes beside a range without end.
const INTERVAL_OPEN: [u8; 6] = [1, 4, 1, 0, 0, 0];

/// The messages of type `kind` (`NFT_MSG_NEWSETELEM`, `NFT_MSG_DELSETELEM`) for `elements`, as many as it takes.
pub(super) fn messages(
    kind: u8,
    flags: u16,
    table: &Table,
    set: &Name,
    elements: &Elements,
) -> Result<Vec<Message>, TooLong> {
    let lists = lists(elements, kind == NFT_MSG_NEWSETELEM);
    let message = |list: Writer| {
        let mut attributes = Writer::default();
        attributes.text(NFTA_SET_ELEM_LIST_TABLE, table.name.as_str());
        attributes.text(NFTA_SET_ELEM_LIST_SET, set.as_str());
        attributes.bytes(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, &list.into_bytes());
        Message::new(kind, flags, table.family, attributes)
    };
    lists.into_iter().map(message).collect()
}

/// An element that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    key: &'a [u8],
    end: bool,
    verdict: Option<Verdict>,
}

impl<'a> Element<'a> {
    /// Reads one of a list. `None`: it has what our elements do not have.
    pub(super) fn read(element: Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let mut read = Element { key: &[], end: false, verdict: None };
        for field in element.nested() {
            let field = field?;
            match field.kind {
                NFTA_SET_ELEM_KEY => {
                    read.key = field.nested().find(NFTA_DATA_VALUE)?.map_or(&[], |value| value.value);
                }
                NFTA_SET_ELEM_FLAGS if field.be32()? == NFT_SET_ELEM_INTERVAL_END => read.end = true,
                NFTA_SET_ELEM_FLAGS if field.be32()? == 0 => {}
                NFTA_SET_ELEM_DATA => match verdict::read(field.nested())? {
                    Some(verdict) => read.verdict = Some(verdict),
                    None => return Ok(None),
                },
                NFTA_SET_ELEM_USERDATA if field.value == INTERVAL_OPEN => {}
                NFTA_SET_ELEM_PAD => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(read))
    }
}

/// As text, the element (of a range: both its ends) at `offset` bytes from the start of a `message` for a set of type
/// `kind`.
pub(super) fn at(message: &Message, offset: u32, kind: ElementsKind) -> Option<String> {
    let offset = usize::try_from(offset).ok()?;
    let list = message.attributes().find(NFTA_SET_ELEM_LIST_ELEMENTS).ok()??;
    let mut elements = list.nested().filter_map(Result::ok).peekable();
    let mut before = None;
    while let Some(past) = elements.next_if(|element| message.end_of(element.value) <= offset) {
        before = Element::read(past).ok()?;
    }
    let found = Element::read(elements.next()?).ok()??;
    let after = elements.next().and_then(|element| Element::read(element).ok()?);
    let range = match (found.end, before, after) {
        (true, Some(start), _) => vec![start, found],
        (false, _, Some(end)) if end.end => vec![found, end],
        _ => vec![found],
    };
    collect(kind, range)?.texts().next()
}

/// The elements of a set of type `kind`. `None`: some are none that we could have written.
pub(super) fn collect(kind: ElementsKind, read: Vec<Element<'_>>) -> Option<Elements> {
    Some(match kind {
        ElementsKind::Ipv4 => Elements::Ipv4(keys(read)?),
        ElementsKind::Ipv6 => Elements::Ipv6(keys(read)?),
        ElementsKind::Ipv4Ranges => Elements::Ipv4Ranges(ranges(read)?),
        ElementsKind::Ipv6Ranges => Elements::Ipv6Ranges(ranges(read)?),
        ElementsKind::Ipv4Endpoints => Elements::Ipv4Endpoints(keys(read)?),
        ElementsKind::Ipv6Endpoints => Elements::Ipv6Endpoints(keys(read)?),
        ElementsKind::Ipv4Verdicts => Elements::Ipv4Verdicts(verdicts(read)?),
        ElementsKind::Ipv6Verdicts => Elements::Ipv6Verdicts(verdicts(read)?),
        ElementsKind::PortVerdicts => Elements::PortVerdicts(verdicts(read)?),
        ElementsKind::PortRangeVerdicts => Elements::PortRangeVerdicts(range_verdicts(read)?),
        ElementsKind::Ipv4Pairs => Elements::Ipv4Pairs(keys(read)?),
        ElementsKind::Ipv6Pairs => Elements::Ipv6Pairs(keys(read)?),
        ElementsKind::Links => Elements::Links(keys(read)?),
        ElementsKind::LinkVerdicts => Elements::LinkVerdicts(verdicts(read)?),
    })
}

fn lists(elements: &Elements, data: bool) -> Vec<Writer> {
    let mut lists = Lists { data, lists: Vec::new() };
    match elements {
        Elements::Ipv4(keys) => keys.iter().for_each(|key| lists.push(*key, None)),
        Elements::Ipv6(keys) => keys.iter().for_each(|key| lists.push(*key, None)),
        Elements::Ipv4Ranges(ranges) => ranges.iter().for_each(|range| lists.push_range(*range, None)),
        Elements::Ipv6Ranges(ranges) => ranges.iter().for_each(|range| lists.push_range(*range, None)),
        Elements::Ipv4Endpoints(keys) => keys.iter().for_each(|key| lists.push(*key, None)),
        Elements::Ipv6Endpoints(keys) => keys.iter().for_each(|key| lists.push(*key, None)),
        Elements::Ipv4Verdicts(map) => map.iter().for_each(|(key, verdict)| lists.push(*key, Some(verdict))),
        Elements::Ipv6Verdicts(map) => map.iter().for_each(|(key, verdict)| lists.push(*key, Some(verdict))),
        Elements::PortVerdicts(map) => map.iter().for_each(|(key, verdict)| lists.push(*key, Some(verdict))),
        Elements::PortRangeVerdicts(map) => {
            map.iter().for_each(|(range, verdict)| lists.push_range(*range, Some(verdict)));
        }
        Elements::Ipv4Pairs(keys) => keys.iter().for_each(|key| lists.push(*key, None)),
        Elements::Ipv6Pairs(keys) => keys.iter().for_each(|key| lists.push(*key, None)),
        Elements::Links(keys) => keys.iter().for_each(|key| lists.push(key.clone(), None)),
        Elements::LinkVerdicts(map) => map.iter().for_each(|(key, verdict)| lists.push(key.clone(), Some(verdict))),
    }
    lists.lists
}

/// Lists of elements, none much longer than [`CHUNK`].
struct Lists {
    /// Whether the elements' data is written: to delete them their keys are enough.
    data: bool,
    lists: Vec<Writer>,
}

impl Lists {
    fn push(&mut self, key: impl Key, verdict: Option<&Verdict>) {
        self.write(key, None, verdict, &[]);
    }

    fn push_range<K: Point>(&mut self, range: Range<K>, verdict: Option<&Verdict>) {
        match range.last.next() {
            None => self.write(range.first, None, verdict, &INTERVAL_OPEN),
            Some(end) => self.write(range.first, Some(end), verdict, &[]),
        }
    }

    fn write<K: Key>(&mut self, key: K, end: Option<K>, verdict: Option<&Verdict>, userdata: &[u8]) {
        let verdict = verdict.filter(|_| self.data);
        let list = self.list();
        list.nested(NFTA_LIST_ELEM, |element| {
            write_key(element, key);
            if let Some(verdict) = verdict {
                element.nested(NFTA_SET_ELEM_DATA, |data| verdict::write(data, verdict));
            }
            if !userdata.is_empty() {
                element.bytes(NFTA_SET_ELEM_USERDATA, userdata);
            }
        });
        if let Some(end) = end {
            list.nested(NFTA_LIST_ELEM, |element| {
                element.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
                write_key(element, end);
            });
        }
    }

    /// The list to append to.
    fn list(&mut self) -> &mut Writer {
        if self.lists.last().is_none_or(|list| list.len() > CHUNK) {
            self.lists.push(Writer::default());
        }
        self.lists.last_mut().expect("there is one since just now")
    }
}

fn write_key(element: &mut Writer, key: impl Key) {
    let mut bytes = Vec::with_capacity(32);
    key.write(&mut bytes);
    element.nested(NFTA_SET_ELEM_KEY, |data| data.bytes(NFTA_DATA_VALUE, &bytes));
}

fn keys<K: Key>(read: Vec<Element<'_>>) -> Option<BTreeSet<K>> {
    read.into_iter().map(|element| K::read(element.key).filter(|_| !element.end && element.verdict.is_none())).collect()
}

fn verdicts<K: Key>(read: Vec<Element<'_>>) -> Option<BTreeMap<K, Verdict>> {
    let entry = |element: Element<'_>| Some((K::read(element.key)?, element.verdict.filter(|_| !element.end)?));
    read.into_iter().map(entry).collect()
}

fn ranges<K: Point>(read: Vec<Element<'_>>) -> Option<BTreeSet<Range<K>>> {
    let ranges = intervals(read)?;
    ranges.into_iter().map(|(range, verdict)| verdict.is_none().then_some(range)).collect()
}

fn range_verdicts<K: Point>(read: Vec<Element<'_>>) -> Option<BTreeMap<Range<K>, Verdict>> {
    intervals(read)?.into_iter().map(|(range, verdict)| Some((range, verdict?))).collect()
}

/// The ranges from each start to the end after it. An end that ends nothing is passed over: `nft` writes one at zero.
/// A start right after a start would be a range that we could not delete: it has no end.
fn intervals<K: Point>(read: Vec<Element<'_>>) -> Option<Vec<(Range<K>, Option<Verdict>)>> {
    let keyed = |element: Element<'_>| Some((K::read(element.key)?, !element.end, element.verdict));
    let mut edges: Vec<(K, bool, Option<Verdict>)> = read.into_iter().map(keyed).collect::<Option<_>>()?;
    edges.sort_unstable_by_key(|(key, start, _)| (*key, *start));
    let mut intervals = Vec::with_capacity(edges.len() / 2);
    let mut open: Option<(K, Option<Verdict>)> = None;
    for (key, start, verdict) in edges {
        match (open.take(), start) {
            (None, true) => open = Some((key, verdict)),
            (None, false) => {}
            (Some(_), true) => return None,
            (Some((first, verdict)), false) => intervals.push((Range { first, last: key.previous()? }, verdict)),
        }
    }
    intervals.extend(open.map(|(first, verdict)| (Range { first, last: K::HIGHEST }, verdict)));
    Some(intervals)
}
