//! Reading a value as far as a schema knows it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lean::odd;
use super::node::{Entry, Node, Value, number};
use super::schema::Schema;

/// How deep values may nest that are read this way.
const DEPTH: usize = 32;
/// How many keys are compared with each other.
const KEYS: usize = 128;

/// A value of which what the schema knows is kept.
#[derive(Clone, Copy)]
pub(super) struct Part {
    schema: &'static Schema,
    depth: usize,
}

/// A key of a map.
pub(super) struct Key;

/// A text that is a part of what is read, if it can be.
#[derive(Debug, Default)]
pub(super) struct PartOf<'t>(Cow<'t, str>);

impl Deref for PartOf<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PartOf<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Key.deserialize(deserializer).map(Self)
    }
}

/// What a field is read for: where a schema is closed, one that it does not know is kept, to be refused.
pub(super) fn known(schema: &'static Schema, key: &str) -> Option<&'static Schema> {
    schema.of_field(key).or(if let Schema::Closed(_) = schema { Some(&Schema::Any) } else { None })
}

impl Part {
    pub(super) fn new(schema: &'static Schema) -> Self {
        Self { schema, depth: 0 }
    }

    fn within<E: Error>(self, schema: &'static Schema) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEPTH { Err(odd("depth")) } else { Ok(Self { schema, depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Ok(Node { line: None, value: deserializer.deserialize_any(self)? })
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Flag(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(number(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let part = self.within::<A::Error>(self.schema.of_items())?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(part)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<Entry<'de>> = Vec::new();
        while let Some(key) = map.next_key_seed(Key)? {
            let Some(schema) = known(self.schema, &key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if entries.len() == KEYS || entries.iter().any(|entry| entry.key == key) {
                return Err(odd("a key again, or many"));
            }
            let node = map.next_value_seed(self.within::<A::Error>(schema)?)?;
            entries.push(Entry { line: None, key, node });
        }
        Ok(Value::Map(entries))
    }
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
