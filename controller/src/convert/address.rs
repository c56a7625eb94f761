//! Addresses and blocks of them, as text.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::IPBlock;
use palisade_model::IpBlock;

use super::Problems;

pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            Err(format!("{text:?} is an IPv4-mapped IPv6 address, which no packet carries: write it as IPv4"))
        }
        Ok(address) => Ok(address),
        Err(_) => Err(format!("{text:?} is not an IP address: write 10.0.0.1 or fd00::1")),
    }
}

/// `None` where any part is not understood: without one of its exceptions a block would be wider than it says.
pub(super) fn block(block: &IPBlock, at: &str, problems: &mut Problems) -> Option<IpBlock> {
    let at_cidr = format!("{at}.cidr");
    let cidr = problems.keep(&at_cidr, net(&block.cidr));
    let written = block.except.iter().flatten().enumerate();
    let except: Vec<Option<IpNet>> =
        written.map(|(i, text)| problems.keep(&format!("{at}.except[{i}]"), net(text))).collect();
    let cidr = cidr?;
    for (i, except) in except.iter().enumerate() {
        problems.keep(&format!("{at}.except[{i}]"), IpBlock::new(cidr, *except));
    }
    IpBlock::new(cidr, except.into_iter().collect::<Option<Vec<_>>>()?).ok()
}

/// As strict as [`IpAddr`]'s parser: no leading zeros, which some read as octal.
fn net(text: &str) -> Result<IpNet, String> {
    let malformed = || format!("{text:?} is not a CIDR: write 10.0.0.0/8 or fd00::/8");
    let (start, length) = text.split_once('/').ok_or_else(malformed)?;
    let start = address(start)?;
    let length: u8 = length.parse().ok().filter(|number: &u8| number.to_string() == length).ok_or_else(malformed)?;
    IpNet::new(start, length).map_err(|_| malformed())
}
