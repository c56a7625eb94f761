//! A tree that a schema has been held against, as serde reads it: what the schema does not know is not there.

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node, Value};
use super::schema::Schema;
use crate::convert::Problem;

/// A part of an object, and what it has to be.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a, 't> {
    schema: &'a Schema,
    node: &'a Node<'t>,
}

impl<'a, 't> Checked<'a, 't> {
    /// # Errors
    /// All that contradicts the schema, which is that of a `noun`.
    pub(super) fn new(schema: &'a Schema, node: &'a Node<'t>, noun: &str) -> Result<Self, Vec<Problem>> {
        let problems = schema.problems(node, noun);
        if problems.is_empty() { Ok(Self { schema, node }) } else { Err(problems) }
    }

    /// The object in its Kubernetes type.
    ///
    /// # Errors
    /// The field that is not of this type, and why.
    pub(super) fn read<T: Deserialize<'a>>(self) -> Result<T, Problem> {
        T::deserialize(self).or_else(|_| {
            // Once more, now that it matters where.
            serde_path_to_error::deserialize(self).map_err(|error| {
                let field = Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_default();
                Problem { field, message: error.inner().to_string() }
            })
        })
    }

    fn entry(self, entry: &'a Entry<'t>) -> Option<(&'a str, Self)> {
        let schema = self.schema.of_field(&entry.key)?;
        // Within what may be anything a null says something.
        let is_there = matches!(self.schema, Schema::Any) || !entry.node.is_null();
        is_there.then_some((&*entry.key, Self { schema, node: &entry.node }))
    }

    fn item(self, node: &'a Node<'t>) -> Self {
        Self { schema: self.schema.of_items(), node }
    }
}

impl<'a> Deserializer<'a> for Checked<'a, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match (self.schema, &self.node.value) {
            (Schema::OneOrMany(only), value) if !matches!(value, Value::List(_)) => {
                let only = Self { schema: only, node: self.node };
                visitor.visit_seq(SeqDeserializer::new([only].into_iter()))
            }
            (_, Value::Nothing | Value::Null) => visitor.visit_unit(),
            (_, Value::Flag(flag)) => visitor.visit_bool(*flag),
            (_, Value::Number(number)) => {
                // One that JSON has is always read.
                number.deserialize_any(visitor).map_err(|error: serde_json::Error| serde::de::Error::custom(error))
            }
            (_, Value::Text(text)) => visitor.visit_borrowed_str(text),
            (_, Value::List(items)) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(|item| self.item(item))))
            }
            (_, Value::Map(entries)) => {
                visitor.visit_map(MapDeserializer::new(entries.iter().filter_map(|entry| self.entry(entry))))
            }
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl<'a> IntoDeserializer<'a, Error> for Checked<'a, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
