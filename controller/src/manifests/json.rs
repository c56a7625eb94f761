//! JSON, read as it comes by.

use std::cell::Cell;

use serde_json::error::Category;
use serde_json::{Deserializer, Error};

use super::found::{Contents, Keeper};
use super::lean::{Lean, Lines};

/// Why a text has not been read.
#[derive(Debug)]
pub(super) struct NotRead {
    /// From 1.
    pub(super) line: u64,
    pub(super) message: String,
    /// Whether it is no JSON.
    pub(super) is_syntax: bool,
    /// Whether it ends too early, so that it is nothing else either.
    pub(super) is_cut: bool,
}

/// Whether a text looks like JSON rather than like other YAML.
pub(super) fn is_json(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('{').map(str::trim_start);
    inside.is_some_and(|inside| inside.starts_with('"'))
}

/// The objects of a JSON text.
///
/// # Errors
/// Where anything is out of the ordinary.
pub(super) fn read(text: &str, keeper: &mut Keeper<'_>) -> Result<Contents, NotRead> {
    let mut contents = Contents::default();
    let lines = Offsets { text, last: Cell::new((0, 1)) };
    let mut lean = Lean { keeper, contents: &mut contents, lines: &lines, document: 1 };
    let mut deserializer = Deserializer::from_str(text);
    lean.document(&mut deserializer)?;
    deserializer.end()?;
    Ok(contents)
}

impl From<Error> for NotRead {
    fn from(error: Error) -> Self {
        let is_syntax = matches!(error.classify(), Category::Syntax | Category::Eof);
        Self { line: error.line() as u64, message: error.to_string(), is_syntax, is_cut: error.is_eof() }
    }
}

/// Lines of a text, which are asked for from the beginning to the end.
struct Offsets<'t> {
    text: &'t str,
    /// The last offset, and its line.
    last: Cell<(usize, u64)>,
}

impl Lines for Offsets<'_> {
    /// A key is a part of the text, unless something is escaped in it.
    fn start(&self, key: &str) -> Option<u64> {
        let offset = (key.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let start = self.text.get(..offset)?.rfind('{')?;
        let (last, line) = self.last.get();
        let between = self.text.as_bytes().get(last..start)?;
        let line = line + between.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.last.set((start, line));
        Some(line)
    }
}
