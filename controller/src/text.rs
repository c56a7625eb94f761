//! Texts that others wrote, cut to a length before they are logged or shown.

use std::borrow::Cow;

/// At most `bytes` of it, whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The same, where something is missing with `…` at its end.
pub(crate) fn shorten(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes { text.into() } else { format!("{}…", cut(text, bytes)).into() }
}

/// The first `most` of all, each cut to so many `bytes`, and how many more there are: `a; b; and 412 more`.
pub(crate) fn some_of<T: ToString>(all: &[T], most: usize, bytes: usize, separator: &str) -> String {
    let mut parts: Vec<String> =
        all.iter().take(most).map(|one| shorten(&one.to_string(), bytes).into_owned()).collect();
    if all.len() > most {
        parts.push(format!("and {} more", all.len() - most));
    }
    parts.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        assert_eq!((cut("aä", 2), cut("aä", 3), cut("", 3)), ("a", "aä", ""));
        assert_eq!((&*shorten("aäb", 2), &*shorten("aä", 3)), ("a…", "aä"));
    }

    #[test]
    fn what_is_left_out_is_counted() {
        assert_eq!(some_of(&["a", "bbb", "c", "d"], 2, 1, "; "), "a; b…; and 2 more");
        assert_eq!(some_of(&["a", "b"], 2, 1, "; "), "a; b");
    }
}
