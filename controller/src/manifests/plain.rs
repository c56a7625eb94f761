//! What a plain scalar of YAML means, where there can be no doubt.

/// What it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Flag(bool),
    Number(i64),
    Text,
}

/// Spellings of which versions of YAML make something else than text, in any case.
const WORDS: [&str; 9] = ["null", "true", "false", "y", "yes", "n", "no", "on", "off"];
/// The longest of them.
const LONGEST_WORD: usize = 5;
/// How many digits fit into an `i64`, whatever they are.
const DIGITS: usize = 18;

/// The meaning; `None` where there may be doubt.
pub(super) fn plain(text: &str) -> Option<Plain> {
    match text {
        "null" | "~" => return Some(Plain::Null),
        "true" => return Some(Plain::Flag(true)),
        "false" => return Some(Plain::Flag(false)),
        _ => {}
    }
    match text.as_bytes().first()? {
        b'0'..=b'9' | b'-' | b'+' | b'.' => number_or_text(text),
        b'~' => None,
        _ if text.len() <= LONGEST_WORD && WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)) => None,
        _ => Some(Plain::Text),
    }
}

fn number_or_text(text: &str) -> Option<Plain> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal && digits.len() <= DIGITS && (digits == "0" || !digits.starts_with('0')) && text != "-0" {
        return text.parse().ok().map(Plain::Number);
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    let is_text = !is_decimal && !has_base(unsigned) && !text.contains('_') && text.parse::<f64>().is_err();
    (is_text && !unsigned.starts_with('.')).then_some(Plain::Text)
}

/// Whether it may be a number of another base than ten, as `0x1f` is, but not what begins alike: `0b1c-2d3e`.
fn has_base(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('0') else { return false };
    digits.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && digits.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_is_not_decided() {
        for (text, expected) in [
            ("web", Some(Plain::Text)),
            ("10.0.0.1", Some(Plain::Text)),
            ("2026-01-02T03:04:05Z", Some(Plain::Text)),
            ("5d8f7b9c6d", Some(Plain::Text)),
            ("0b1c2d3e-4f5a-6789-abcd-ef0123456789", Some(Plain::Text)),
            ("--listen=:8080", Some(Plain::Text)),
            ("::1", Some(Plain::Text)),
            ("8080", Some(Plain::Number(8080))),
            ("-1", Some(Plain::Number(-1))),
            ("0", Some(Plain::Number(0))),
            ("true", Some(Plain::Flag(true))),
            ("~", Some(Plain::Null)),
            ("null", Some(Plain::Null)),
            ("", None),
            ("Yes", None),
            ("NULL", None),
            ("010", None),
            ("-0", None),
            ("0x1f", None),
            ("0b1", None),
            ("1e5", None),
            ("1.5", None),
            (".5", None),
            (".inf", None),
            ("+1", None),
            ("-inf", None),
            ("1_000", None),
            ("9999999999999999999", None),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
