//! YAML without anchors, tags and the like, read as it comes by.

use serde::de::Deserializer as _;

use super::events::{Events, Odd};
use super::found::{Contents, Keeper};
use super::lean::Lean;

/// The objects of a YAML text.
///
/// # Errors
/// Where anything is out of the ordinary.
pub(super) fn read(text: &str, keeper: &mut Keeper<'_>) -> Result<Contents, Odd> {
    if !is_ordinary(text) {
        return Err(Odd);
    }
    let mut contents = Contents::default();
    let mut events = Events::new(text);
    let mut document = 0;
    while events.next_document()? {
        if events.is_null()? {
            (&mut events).deserialize_ignored_any(serde::de::IgnoredAny)?;
            continue;
        }
        document += 1;
        let lines = events.lines();
        Lean { keeper: &mut *keeper, contents: &mut contents, lines: &lines, document }.document(&mut events)?;
    }
    Ok(contents)
}

/// Whether there are no directives, byte order marks or control characters in it, about which parsers may differ.
fn is_ordinary(text: &str) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\n' | b'\r') || *byte == 0x7f;
    let has_mark = || text.contains(['\u{feff}', '\u{85}', '\u{2028}', '\u{2029}']);
    !text.starts_with('%') && !text.contains("\n%") && !text.as_bytes().iter().any(is_control) && !has_mark()
}
