//! A transaction as messages.

use super::attributes::Writer;
use super::constants::*;
use super::message::{Message, TooLong};
use super::{chain, elements, object, rule, set, userdata};
use crate::{Comment, Operation, Table, Transaction};

/// A message, and the index of the operation that it is part of.
pub(super) type Part = (usize, Message);

/// The operation at this index does not fit a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unencodable(pub(super) usize);

/// The messages of `transaction`, in its order: one an operation, more where there are many elements.
pub(super) fn transaction(table: &Table, flags: u32, transaction: &Transaction) -> Result<Vec<Part>, Unencodable> {
    let mut parts = Vec::with_capacity(transaction.operations.len());
    for (index, one) in transaction.operations.iter().enumerate() {
        let messages = operation(table, flags, index, one).map_err(|TooLong| Unencodable(index))?;
        parts.extend(messages.into_iter().map(|message| (index, message)));
    }
    Ok(parts)
}

/// The message that makes `table` with `flags`, or adopts it.
pub(super) fn new_table(table: &Table, flags: u32, comment: Option<&Comment>) -> Result<Message, TooLong> {
    message(NFT_MSG_NEWTABLE, 0, table, |attributes| {
        attributes.be32(NFTA_TABLE_FLAGS, flags);
        if let Some(comment) = comment {
            let mut data = Vec::new();
            userdata::push_comment(&mut data, userdata::COMMENT, comment);
            attributes.bytes(NFTA_TABLE_USERDATA, &data);
        }
    })
}

fn operation(table: &Table, flags: u32, index: usize, operation: &Operation) -> Result<Vec<Message>, TooLong> {
    let one = match operation {
        Operation::CreateTable { comment } => new_table(table, flags, comment.as_ref()),
        Operation::DeleteTable => message(NFT_MSG_DELTABLE, 0, table, |_| {}),
        Operation::CreateChain { name, base, comment } => message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table, |message| {
            message.text(NFTA_CHAIN_NAME, name.as_str());
            chain::write(message, *base, comment.as_ref());
        }),
        Operation::CreateSet { name, kind, comment } => message(NFT_MSG_NEWSET, NLM_F_CREATE, table, |message| {
            // An index above 32 bits would need more memory than a batch can have.
            let id = u32::try_from(index).unwrap_or(u32::MAX);
            message.text(NFTA_SET_NAME, name.as_str());
            set::write(message, *kind, comment.as_ref(), id);
        }),
        Operation::CreateCounter { name, comment } => message(NFT_MSG_NEWOBJ, NLM_F_CREATE, table, |message| {
            object::write(message, name, comment.as_ref());
        }),
        Operation::DeleteElements { set, elements } => {
            return elements::messages(NFT_MSG_DELSETELEM, 0, table, set, elements);
        }
        Operation::AddElements { set, elements } => {
            return elements::messages(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, set, elements);
        }
        Operation::FlushChain { chain } => {
            message(NFT_MSG_DELRULE, 0, table, |message| message.text(NFTA_RULE_CHAIN, chain.as_str()))
        }
        Operation::AddRule { chain, rule } => message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table, |message| {
            message.text(NFTA_RULE_CHAIN, chain.as_str());
            rule::write(message, rule, table.family);
        }),
        Operation::DeleteSet { name } => {
            message(NFT_MSG_DELSET, 0, table, |message| message.text(NFTA_SET_NAME, name.as_str()))
        }
        Operation::DeleteCounter { name } => message(NFT_MSG_DELOBJ, 0, table, |message| object::name(message, name)),
        Operation::DeleteChain { name } => {
            message(NFT_MSG_DELCHAIN, 0, table, |message| message.text(NFTA_CHAIN_NAME, name.as_str()))
        }
    };
    Ok(vec![one?])
}

/// A message about `table`, whose name has the same attribute in all kinds of messages.
pub(super) fn message(
    kind: u8,
    flags: u16,
    table: &Table,
    content: impl FnOnce(&mut Writer),
) -> Result<Message, TooLong> {
    let mut attributes = Writer::default();
    attributes.text(NFTA_TABLE_NAME, table.name.as_str());
    content(&mut attributes);
    Message::new(kind, flags, table.family, attributes)
}
