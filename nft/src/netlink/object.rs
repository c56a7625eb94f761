//! Named counters, the only stateful objects of ours, in the words of the kernel.

use super::attributes::{Attributes, Malformed, Writer};
use super::constants::*;
use super::userdata;
use crate::{Comment, CounterValue, Name};

/// Writes the attributes that make up a counter that has counted nothing. One that is there already stays as it is.
pub(super) fn write(message: &mut Writer, counter: &Name, comment: Option<&Comment>) {
    name(message, counter);
    message.nested(NFTA_OBJ_DATA, |_| {});
    if let Some(comment) = comment {
        let mut data = Vec::new();
        userdata::push_comment(&mut data, userdata::COMMENT, comment);
        message.bytes(NFTA_OBJ_USERDATA, &data);
    }
}

/// Writes what tells a counter from other objects.
pub(super) fn name(message: &mut Writer, counter: &Name) {
    message.text(NFTA_OBJ_NAME, counter.as_str());
    message.be32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
}

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A counter that we could have made.
    Counter { name: Name, comment: Option<Comment>, value: CounterValue },
    /// Another.
    Foreign { name: String },
}

/// Reads the object of a message.
pub(super) fn read(message: Attributes<'_>) -> Result<Found, Malformed> {
    let name = message.find(NFTA_OBJ_NAME)?.map(|name| name.text().into_owned()).unwrap_or_default();
    let kind = message.find(NFTA_OBJ_TYPE)?.map(|kind| kind.be32()).transpose()?;
    let comment = message.find(NFTA_OBJ_USERDATA)?.and_then(|data| userdata::comment(data.value, userdata::COMMENT));
    match Name::new(&*name) {
        Ok(name) if kind == Some(NFT_OBJECT_COUNTER) => Ok(Found::Counter { name, comment, value: value(message)? }),
        _ => Ok(Found::Foreign { name }),
    }
}

fn value(message: Attributes<'_>) -> Result<CounterValue, Malformed> {
    let data = message.find(NFTA_OBJ_DATA)?.map_or(Attributes(&[]), |data| data.nested());
    let number = |kind| data.find(kind)?.map_or(Ok(0), |number| number.be64());
    Ok(CounterValue { packets: number(NFTA_COUNTER_PACKETS)?, bytes: number(NFTA_COUNTER_BYTES)? })
}
