use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use thiserror::Error;

/// `limit rate 10/second burst 9 packets`: beyond it the rule ends, so that it neither logs nor gives its verdict. What
/// shall become of all packets is for another rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How many packets a second, in the long run.
    pub rate: NonZeroU32,
    /// How many at once. nft does not print its default, [`Limit::DEFAULT_BURST`].
    pub burst: NonZeroU32,
}

/// `log prefix "..." group 6 snaplen 192`: tells those who listen to that group of each packet, over netlink.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    /// What tells it from what other rules log.
    pub prefix: LogPrefix,
    /// The group.
    pub group: u16,
    /// How much of each packet is told at most, from the IP header on; `None`: what the listener asks for.
    pub snaplen: Option<NonZeroU32>,
}

/// What a rule's log says with each packet: 1 to 127 bytes of printable ASCII, without the quotes and dollar signs that
/// nft could list but not read back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogPrefix(Arc<str>);

/// A prefix that the kernel would not take, or nft not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a log prefix of 1 to 127 bytes of printable ASCII, without quotes and dollar signs")]
pub struct LogPrefixError(String);

impl Limit {
    /// The burst where none is given, the kernel's and nft's.
    pub const DEFAULT_BURST: NonZeroU32 = NonZeroU32::new(5).expect("it is not 0");
}

impl LogPrefix {
    /// The kernel's `NF_LOG_PREFIXLEN` less the terminating zero.
    pub const MAX: usize = 127;

    /// The prefix `prefix`.
    ///
    /// # Errors
    /// [`LogPrefixError`] where it is empty, too long, or has other characters.
    pub fn new(prefix: impl Into<Arc<str>>) -> Result<Self, LogPrefixError> {
        let prefix = prefix.into();
        let is_good = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'$';
        let valid = (1..=Self::MAX).contains(&prefix.len()) && prefix.bytes().all(is_good);
        if valid { Ok(Self(prefix)) } else { Err(LogPrefixError(prefix.to_string())) }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_cannot_be_written_and_read_back_are_refused() {
        for bad in ["", "a\"b", "$x", "a\n", "é", "\u{7f}", &"a".repeat(128)] {
            assert!(LogPrefix::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", " a*{}';\\ # ", &"a".repeat(127)] {
            assert_eq!(LogPrefix::new(good).unwrap().as_str(), good);
        }
    }
}
