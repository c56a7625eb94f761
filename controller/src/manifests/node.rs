//! YAML as a tree that remembers lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::Spanned;

/// A value and the line it starts on.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: Option<u64>,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing is written after the key or dash: often a file that is still being written.
    Nothing,
    /// Null (written out), a boolean, a number or text.
    Scalar(Json),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) line: Option<u64>,
    pub(super) key: String,
    pub(super) node: Node,
}

impl Node {
    /// The entry `key` of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Nothing | Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The text at the end of a path of keys.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        match (path, &self.value) {
            ([], Value::Scalar(Json::String(text))) => Some(text),
            ([key, rest @ ..], _) => self.get(key)?.node.text(rest),
            _ => None,
        }
    }

    /// Whether nothing or an explicit null is written.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Nothing | Value::Scalar(Json::Null))
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
                Value::Nothing | Value::Scalar(_) => None,
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

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Scalar(Json::String(text)) => write!(f, "the text {text:?}"),
            Self::Scalar(Json::Number(number)) => write!(f, "the number {number}"),
            Self::Scalar(other) => write!(f, "{other}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a map"),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let nothing = matches!(spanned.value, Value::Scalar(Json::Null)) && spanned.referenced.span().is_empty();
        let value = if nothing { Value::Nothing } else { spanned.value };
        Ok(Self { line: line(spanned.referenced), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Scalar(Json::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Scalar((value as f64).into()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Scalar((value as f64).into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push(Entry { line: line(key.referenced), key: key.value, node });
        }
        Ok(Value::Map(map))
    }
}

fn line(location: serde_saphyr::Location) -> Option<u64> {
    Some(location.line()).filter(|line| *line > 0)
}
