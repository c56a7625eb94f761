use std::borrow::Cow;

use thiserror::Error;

use super::constants::{NLA_F_NESTED, NLA_TYPE_MASK};

const HEADER: usize = 4;

/// Bytes that no message of nf_tables' is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// Writes netlink attributes (`struct nlattr`), one after the other, padded to four bytes.
///
/// An attribute's length has 16 bits: whoever sends what was written checks that the whole is shorter than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// `value` as it is.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    /// `value` with a zero at its end.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// A number in network order.
    pub(super) fn be16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A number in network order.
    pub(super) fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A number in network order.
    pub(super) fn be64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// The attributes that `content` writes.
    pub(super) fn nested(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let start = self.open(kind | NLA_F_NESTED);
        content(self);
        self.close(start);
    }

    /// How many bytes have been written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What has been written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }
}

/// An attribute that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    /// Its type, without the flags.
    pub(super) kind: u16,
    /// Its content.
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// As text, up to the first zero; what is not UTF-8 is replaced.
    pub(super) fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.value.split(|&byte| byte == 0).next().unwrap_or_default())
    }

    /// As a number in network order.
    pub(super) fn be16(&self) -> Result<u16, Malformed> {
        self.value.try_into().map(u16::from_be_bytes).map_err(|_| Malformed("a number of other than 2 bytes"))
    }

    /// As a number in network order.
    pub(super) fn be32(&self) -> Result<u32, Malformed> {
        self.value.try_into().map(u32::from_be_bytes).map_err(|_| Malformed("a number of other than 4 bytes"))
    }

    /// As a number in network order.
    pub(super) fn be64(&self) -> Result<u64, Malformed> {
        self.value.try_into().map(u64::from_be_bytes).map_err(|_| Malformed("a number of other than 8 bytes"))
    }

    /// As attributes.
    pub(super) fn nested(&self) -> Attributes<'a> {
        Attributes(self.value)
    }
}

/// Reads netlink attributes. After an error there is nothing more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The first attribute of type `kind`.
    pub(super) fn find(self, kind: u16) -> Result<Option<Attribute<'a>>, Malformed> {
        for attribute in self {
            let attribute = attribute?;
            if attribute.kind == kind {
                return Ok(Some(attribute));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Some(Err(Malformed("an attribute without a header")));
        };
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(value) = bytes.get(HEADER..length) else {
            return Some(Err(Malformed("an attribute longer than its message, or shorter than its header")));
        };
        self.0 = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Ok(Attribute { kind: u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK, value }))
    }
}

/// The next multiple of four.
pub(super) fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.text(1, "abcd");
        writer.nested(2, |inner| inner.be32(3, 7));
        writer.bytes(4, &[]);
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len(), 12 + 12 + 4);
        let read: Vec<_> = Attributes(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(read[0].text(), "abcd");
        assert_eq!(read[1].nested().find(3).unwrap().unwrap().be32(), Ok(7));
        assert_eq!(read[2], Attribute { kind: 4, value: &[] });
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn garbage_ends_with_an_error() {
        for bad in [&[1_u8][..], &[3, 0, 0, 0], &[9, 0, 1, 0, 0, 0, 0, 0], &[0, 0, 0, 0]] {
            let read: Vec<_> = Attributes(bad).collect();
            assert_eq!(read.len(), 1, "{bad:?}");
            assert!(read[0].is_err(), "{bad:?}");
        }
        assert!(Attribute { kind: 1, value: &[1, 2, 3] }.be16().is_err());
        assert!(Attribute { kind: 1, value: &[1, 2, 3] }.be32().is_err());
        assert!(Attribute { kind: 1, value: &[1, 2, 3] }.be64().is_err());
    }
}
