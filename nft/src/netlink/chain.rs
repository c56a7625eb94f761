//! Chains, in the words of the kernel.

use super::attributes::{Attribute, Attributes, Malformed, Writer};
use super::constants::*;
use super::userdata;
use crate::{BaseChain, Comment, Hook, Name};

const FILTER: &str = "filter";

/// Writes the attributes that make up a chain.
pub(super) fn write(message: &mut Writer, base: Option<BaseChain>, comment: Option<&Comment>) {
    if let Some(BaseChain { hook: at, priority }) = base {
        message.text(NFTA_CHAIN_TYPE, FILTER);
        message.be32(NFTA_CHAIN_POLICY, NF_ACCEPT.cast_unsigned());
        message.nested(NFTA_CHAIN_HOOK, |hook| {
            hook.be32(NFTA_HOOK_HOOKNUM, hook_number(at));
            hook.be32(NFTA_HOOK_PRIORITY, priority.cast_unsigned());
        });
    }
    if let Some(comment) = comment {
        let mut data = Vec::new();
        userdata::push_comment(&mut data, userdata::COMMENT, comment);
        message.bytes(NFTA_CHAIN_USERDATA, &data);
    }
}

/// A chain that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// One that we could have made.
    Own { name: Name, base: Option<BaseChain>, comment: Option<Comment> },
    /// Another.
    Foreign { name: String },
    /// One that lives and dies with the rule that jumps to it.
    OfRule,
}

/// Reads the chain of a message.
pub(super) fn read(message: Attributes<'_>) -> Result<Found, Malformed> {
    let text = |kind| message.find(kind).map(|found| found.map(|attribute| attribute.text().into_owned()));
    let number = |kind| message.find(kind)?.map(|attribute| attribute.be32()).transpose();
    let flags = number(NFTA_CHAIN_FLAGS)?.unwrap_or_default();
    let comment = message.find(NFTA_CHAIN_USERDATA)?.map(|data| data.value);
    if flags & NFT_CHAIN_BINDING != 0 {
        return Ok(Found::OfRule);
    }
    let name = text(NFTA_CHAIN_NAME)?.unwrap_or_default();
    let base = match message.find(NFTA_CHAIN_HOOK)? {
        None => Some(None),
        Some(hook) => {
            let accepts = number(NFTA_CHAIN_POLICY)? == Some(NF_ACCEPT.cast_unsigned());
            let filters = text(NFTA_CHAIN_TYPE)?.as_deref() == Some(FILTER);
            base_chain(hook)?.filter(|_| accepts && filters).map(Some)
        }
    };
    Ok(match (Name::new(&*name), base) {
        (Ok(name), Some(base)) if flags & !NFT_CHAIN_BASE == 0 => {
            let comment = comment.and_then(|data| userdata::comment(data, userdata::COMMENT));
            Found::Own { name, base, comment }
        }
        _ => Found::Foreign { name },
    })
}

fn base_chain(hook: Attribute<'_>) -> Result<Option<BaseChain>, Malformed> {
    let number = |kind| hook.nested().find(kind)?.map(|attribute| attribute.be32()).transpose();
    let at = number(NFTA_HOOK_HOOKNUM)?;
    let at = [Hook::Prerouting, Hook::Input, Hook::Forward].into_iter().find(|hook| Some(hook_number(*hook)) == at);
    let priority = number(NFTA_HOOK_PRIORITY)?;
    Ok(at.zip(priority).map(|(hook, priority)| BaseChain { hook, priority: priority.cast_signed() }))
}

/// The same in both families that we use.
fn hook_number(hook: Hook) -> u32 {
    match hook {
        Hook::Prerouting => NF_INET_PRE_ROUTING,
        Hook::Input => NF_INET_LOCAL_IN,
        Hook::Forward => NF_INET_FORWARD,
    }
}
