//! Texts that others wrote, cut to a length before they are logged or shown.

use std::borrow::Cow;

use jiff::Timestamp;

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

/// How long ago that was, in two units: `2h 5m`, `40s`, `3d`.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = now.duration_since(then).as_secs().max(0);
    let first = UNITS.iter().position(|(length, _)| seconds >= *length).unwrap_or(UNITS.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (length, unit) in UNITS.iter().skip(first).take(2) {
        let count = left / length;
        left %= length;
        if count > 0 || parts.is_empty() {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.join(" ")
}

/// So many bytes: `950 B`, `2.5 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut tenths, mut unit) = (count / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1000, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        let told = |seconds| age(Timestamp::from_second(seconds).unwrap(), Timestamp::UNIX_EPOCH);
        let all = [0, 40, 61, 7500, 7200, 90_000, -5].map(told);
        assert_eq!(all, ["0s", "40s", "1m 1s", "2h 5m", "2h", "1d 1h", "0s"]);
    }

    #[test]
    fn bytes_have_three_digits_or_so() {
        let all = [0, 999, 1000, 1549, 2_500_000, 999_999, u64::MAX].map(bytes);
        assert_eq!(all, ["0 B", "999 B", "1.0 kB", "1.5 kB", "2.5 MB", "999.9 kB", "18.4 EB"]);
    }

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
