//! A verdict as the data of a map's element or of a rule's last expression.

use super::attributes::{Attributes, Malformed, Writer};
use super::constants::{
    NF_ACCEPT, NF_DROP, NFT_GOTO, NFT_JUMP, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE,
};
use crate::{Name, Verdict};

/// Writes `verdict`.
pub(super) fn write(data: &mut Writer, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Accept => (NF_ACCEPT, None),
        Verdict::Drop => (NF_DROP, None),
        Verdict::Jump(chain) => (NFT_JUMP, Some(chain)),
        Verdict::Goto(chain) => (NFT_GOTO, Some(chain)),
    };
    data.nested(NFTA_DATA_VERDICT, |nest| {
        nest.be32(NFTA_VERDICT_CODE, code.cast_unsigned());
        if let Some(chain) = chain {
            nest.text(NFTA_VERDICT_CHAIN, chain.as_str());
        }
    });
}

/// Reads a verdict. `None`: it is none of ours.
pub(super) fn read(data: Attributes<'_>) -> Result<Option<Verdict>, Malformed> {
    let Some(verdict) = data.find(NFTA_DATA_VERDICT)? else { return Ok(None) };
    let Some(code) = verdict.nested().find(NFTA_VERDICT_CODE)? else { return Ok(None) };
    let chain = verdict.nested().find(NFTA_VERDICT_CHAIN)?.and_then(|chain| Name::new(&*chain.text()).ok());
    Ok(match (code.be32()?.cast_signed(), chain) {
        (NF_ACCEPT, None) => Some(Verdict::Accept),
        (NF_DROP, None) => Some(Verdict::Drop),
        (NFT_JUMP, Some(chain)) => Some(Verdict::Jump(chain)),
        (NFT_GOTO, Some(chain)) => Some(Verdict::Goto(chain)),
        _ => None,
    })
}
