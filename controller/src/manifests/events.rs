//! The events of a YAML parser, as serde reads them.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::lean::Lines;
use super::plain::{Plain, plain};

/// What is not read this way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Odd;

/// The events that are left.
pub(super) struct Events<'t> {
    parser: Parser<'t, StrInput<'t>>,
    next: Option<Event<'t>>,
    line: CurrentLine,
}

/// The line on which the last map began.
#[derive(Clone, Default)]
pub(super) struct CurrentLine(Rc<Cell<usize>>);

impl<'t> Events<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { parser: Parser::new_from_str(text), next: None, line: CurrentLine::default() }
    }

    pub(super) fn lines(&self) -> CurrentLine {
        self.line.clone()
    }

    /// Goes to the content of the next document, if there is one.
    pub(super) fn next_document(&mut self) -> Result<bool, Odd> {
        loop {
            match self.take()? {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) => return Ok(true),
                Event::StreamEnd => return Ok(false),
                _ => return Err(Odd),
            }
        }
    }

    /// Whether there is nothing, or a null, next.
    pub(super) fn is_null(&mut self) -> Result<bool, Odd> {
        let is_null = |text: &str| text.is_empty() || matches!(plain(text), Some(Plain::Null));
        Ok(matches!(self.peek()?, Event::Scalar(text, ScalarStyle::Plain, 0, None) if is_null(text)))
    }

    fn peek(&mut self) -> Result<&Event<'t>, Odd> {
        let next = match self.next.take() {
            Some(next) => next,
            None => self.parse()?,
        };
        Ok(&*self.next.insert(next))
    }

    fn take(&mut self) -> Result<Event<'t>, Odd> {
        match self.next.take() {
            Some(next) => Ok(next),
            None => self.parse(),
        }
    }

    fn parse(&mut self) -> Result<Event<'t>, Odd> {
        let (event, span) = self.parser.next_event().ok_or(Odd)?.map_err(|_| Odd)?;
        if let Event::MappingStart(..) = event {
            self.line.0.set(span.start.line());
        }
        Ok(event)
    }

    /// Whether a list or map ends here.
    fn ends(&mut self) -> Result<bool, Odd> {
        let ends = matches!(self.peek()?, Event::SequenceEnd | Event::MappingEnd);
        if ends {
            self.take()?;
        }
        Ok(ends)
    }

    /// Passes over a value, of which keys are held to what they are in what is read.
    fn skip(&mut self) -> Result<(), Odd> {
        let mut within = Vec::new();
        loop {
            match (self.take()?, within.last_mut()) {
                (Event::MappingEnd, Some(Within::Keys)) | (Event::SequenceEnd, Some(Within::List)) => {
                    within.pop();
                }
                (event, Some(map @ Within::Keys)) => {
                    key(event)?;
                    *map = Within::Value;
                    continue;
                }
                (Event::MappingStart(..), _) => {
                    within.push(Within::Keys);
                    continue;
                }
                (Event::SequenceStart(..), _) => {
                    within.push(Within::List);
                    continue;
                }
                (Event::Scalar(..) | Event::Alias(_), _) => {}
                _ => return Err(Odd),
            }
            match within.last_mut() {
                None => return Ok(()),
                Some(map @ Within::Value) => *map = Within::Keys,
                Some(_) => {}
            }
        }
    }
}

/// Where a value is that is passed over.
enum Within {
    List,
    /// In a map, where a key comes next, or its end.
    Keys,
    /// In a map, where the value of a key comes next.
    Value,
}

/// A key, unless it merges another map, or may be something else than text.
fn key(event: Event<'_>) -> Result<Cow<'_, str>, Odd> {
    let Event::Scalar(text, style, 0, None) = event else { return Err(Odd) };
    if style == ScalarStyle::Plain && (text == "<<" || !matches!(plain(&text), Some(Plain::Text))) {
        return Err(Odd);
    }
    Ok(text)
}

impl Lines for CurrentLine {
    fn start(&self, _: &str) -> Option<u64> {
        Some(self.0.get() as u64)
    }
}

impl<'t> Deserializer<'t> for &mut Events<'t> {
    type Error = Odd;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Odd> {
        match self.take()? {
            Event::MappingStart(0, None) => visitor.visit_map(self),
            Event::SequenceStart(0, None) => visitor.visit_seq(self),
            Event::Scalar(text, ScalarStyle::Plain, 0, None) => match plain(&text).ok_or(Odd)? {
                Plain::Null => visitor.visit_unit(),
                Plain::Flag(flag) => visitor.visit_bool(flag),
                Plain::Number(number) => visitor.visit_i64(number),
                Plain::Text => visit_text(text, visitor),
            },
            Event::Scalar(text, _, 0, None) => visit_text(text, visitor),
            _ => Err(Odd),
        }
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Odd> {
        if self.is_null()? {
            self.take()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, Odd> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Odd> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier
    }
}

fn visit_text<'t, V: Visitor<'t>>(text: Cow<'t, str>, visitor: V) -> Result<V::Value, Odd> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

impl<'t> SeqAccess<'t> for &mut Events<'t> {
    type Error = Odd;

    fn next_element_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Odd> {
        if self.ends()? { Ok(None) } else { seed.deserialize(&mut **self).map(Some) }
    }
}

impl<'t> MapAccess<'t> for &mut Events<'t> {
    type Error = Odd;

    fn next_key_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Odd> {
        if self.ends()? {
            return Ok(None);
        }
        let key = match key(self.take()?)? {
            Cow::Borrowed(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
            Cow::Owned(text) => seed.deserialize(StringDeserializer::new(text)),
        };
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Odd> {
        seed.deserialize(&mut **self)
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something out of the ordinary")
    }
}

impl std::error::Error for Odd {}

impl de::Error for Odd {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}
