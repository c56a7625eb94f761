//! What is written, as a tree.

use std::borrow::Cow;
use std::fmt;

use serde_json::Number;

/// A value, and the line it starts on where that is known. `'t`: of the text that it is read from.
#[derive(Clone, Debug)]
pub(super) struct Node<'t> {
    pub(super) line: Option<u64>,
    pub(super) value: Value<'t>,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'t> {
    /// Nothing is written after the key or dash: often a file that is still being written.
    Nothing,
    /// A null that is written out.
    Null,
    Flag(bool),
    Number(Number),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    /// In the order of the file; keys are unique.
    Map(Vec<Entry<'t>>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry<'t> {
    pub(super) line: Option<u64>,
    pub(super) key: Cow<'t, str>,
    pub(super) node: Node<'t>,
}

impl<'t> Node<'t> {
    /// The entry `key` of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Entry<'t>> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text at the end of a path of keys.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        match (path, &self.value) {
            ([], Value::Text(text)) => Some(text),
            ([key, rest @ ..], _) => self.get(key)?.node.text(rest),
            _ => None,
        }
    }

    /// Whether nothing or an explicit null is written.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Nothing | Value::Null)
    }

    /// The line of the last part of `path` (like `spec.ingress[0].from`, or `labels[app]` of a map) that exists.
    pub(super) fn line_of(&self, path: &str) -> Option<u64> {
        self.last_of(path).0
    }

    /// The value at the end of `path`, if there is one.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        let (_, node, whole) = self.last_of(path);
        whole.then_some(node)
    }

    /// The line and value of the last part of `path` that exists, and whether that is its end.
    fn last_of(&self, path: &str) -> (Option<u64>, &Self, bool) {
        let mut found = (self.line, self);
        for part in path.split_inclusive(['.', '[']).flat_map(|part| part.split_inclusive(']')) {
            let part = part.trim_end_matches(['.', '[', ']']);
            let next = match &found.1.value {
                Value::Map(_) => found.1.get(part).map(|entry| (entry.line, &entry.node)),
                Value::List(items) => part.parse().ok().and_then(|i: usize| items.get(i)).map(|item| (item.line, item)),
                _ => None,
            };
            match next {
                Some(next) => found = next,
                None if part.is_empty() => {}
                None => return (found.0, found.1, false),
            }
        }
        (found.0, found.1, true)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(text) => write!(f, "the text {text:?}"),
            Self::Number(number) => write!(f, "the number {number}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a map"),
        }
    }
}

/// A number; null for what is none in JSON.
pub(super) fn number(value: f64) -> Value<'static> {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
