use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The name of a table, chain, set or counter: 1 to 255 of `[a-z0-9_-]`, starting with a letter, so that `nft` can read back what
/// it lists. Whether it collides with a keyword of nft's is the caller's care: give it a prefix and a hyphen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// A name that nft could list but not read back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a name of 1 to 255 of [a-z0-9_-] starting with a letter")]
pub struct NameError(String);

impl Name {
    /// The kernel's `NFT_NAME_MAXLEN` less the terminating zero.
    pub const MAX: usize = 255;

    /// The name `name`.
    ///
    /// # Errors
    /// [`NameError`] where it is empty, too long, or has other characters.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let name = name.into();
        let valid = name.len() <= Self::MAX
            && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if valid { Ok(Self(name)) } else { Err(NameError(name.to_string())) }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a network interface: 1 to 15 bytes that nft can both list and read back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(Arc<str>);

/// A name that nft could list but not read back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not an interface name of 1 to 15 bytes, without quotes, backslashes, stars, blanks, slashes and colons"
)]
pub struct LinkNameError(String);

impl LinkName {
    /// The kernel's `IFNAMSIZ` less the terminating zero.
    pub const MAX: usize = 15;

    /// The name `name`.
    ///
    /// # Errors
    /// [`LinkNameError`] where the kernel would not take it, or nft not read it.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, LinkNameError> {
        let name = name.into();
        let is_bad = |b: u8| !b.is_ascii_graphic() || b"\"\\*/:".contains(&b);
        let valid = (1..=Self::MAX).contains(&name.len()) && !name.bytes().any(is_bad);
        if valid { Ok(Self(name)) } else { Err(LinkNameError(name.to_string())) }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As nft writes it, in quotes.
impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A comment on a table, chain, set, counter or rule: at most 128 bytes (the kernel and nft refuse more), on one line, without
/// the quotes that nft's grammar cannot escape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Comment(Arc<str>);

impl Comment {
    /// nft's `NFTNL_UDATA_COMMENT_MAXLEN`.
    pub const MAX: usize = 128;

    /// `text`, cut to what fits (on a character boundary, with `...` at its end), control characters and quotes
    /// replaced by blanks.
    pub fn new(text: &str) -> Self {
        let clean: String = text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        if clean.len() <= Self::MAX {
            return Self(clean.into());
        }
        let mut end = Self::MAX - "...".len();
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}...", &clean[..end]).into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nft_cannot_read_back_are_refused() {
        for bad in ["", "9a", "-a", "A", "a.b", "a b", "ü", &"a".repeat(256)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new("a".repeat(255)).is_ok());
    }

    #[test]
    fn interface_names_that_nft_cannot_read_back_are_refused() {
        for bad in ["", "a b", "a*", "\"", "a\\", "a/b", "a:b", "é", "sixteen-letters-"] {
            assert!(LinkName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(LinkName::new("veth1.2@x").unwrap().to_string(), "\"veth1.2@x\"");
    }

    #[test]
    fn comments_are_cut_on_a_character_boundary() {
        let long = "ü".repeat(100);
        let comment = Comment::new(&long);
        assert!(comment.as_str().len() <= Comment::MAX && comment.as_str().ends_with("ü..."));
        assert_eq!(Comment::new("a\"b\nc").as_str(), "a b c");
        assert_eq!(Comment::new(&"x".repeat(128)).as_str().len(), 128);
    }
}
