//! What `nft` keeps beside the kernel's objects (libnftnl's `udata.h`): type, length and value, of a byte, a byte and
//! at most 255 bytes.

use crate::Comment;

/// `NFTNL_UDATA_TABLE_COMMENT`, `..._CHAIN_COMMENT`, `..._RULE_COMMENT` and `..._OBJ_COMMENT`.
pub(super) const COMMENT: u8 = 0;
/// `NFTNL_UDATA_SET_COMMENT`.
pub(super) const SET_COMMENT: u8 = 7;

/// Appends the value `value` of type `kind`.
pub(super) fn push(data: &mut Vec<u8>, kind: u8, value: &[u8]) {
    data.push(kind);
    data.push(u8::try_from(value.len()).expect("our values are comments, of at most 129 bytes, and constants"));
    data.extend_from_slice(value);
}

/// Appends `comment`, with the zero at its end that `nft` asks for.
pub(super) fn push_comment(data: &mut Vec<u8>, kind: u8, comment: &Comment) {
    push(data, kind, &[comment.as_str().as_bytes(), &[0]].concat());
}

/// The comment in `data`. What is no comment, garbage included, is passed over.
pub(super) fn comment(mut data: &[u8], comment: u8) -> Option<Comment> {
    while let [kind, length, rest @ ..] = data {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *kind == comment {
            let text = value.split(|&byte| byte == 0).next().unwrap_or_default();
            return Some(Comment::new(&String::from_utf8_lossy(text)));
        }
        data = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_among_other_values() {
        let written = Comment::new(&"x".repeat(Comment::MAX));
        let mut data = Vec::new();
        push(&mut data, 0, &[1, 2]);
        push_comment(&mut data, SET_COMMENT, &written);
        assert_eq!(comment(&data, SET_COMMENT), Some(written));
        assert_eq!(comment(&data, 3), None);
        assert_eq!(comment(&data[..20], SET_COMMENT), None);
        assert_eq!(comment(&[7], SET_COMMENT), None);
    }
}
