//! Addresses and blocks of them, as text.

use std::fmt::Arguments;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::IPBlock;
use palisade_model::IpBlock;

use super::Problems;

/// The address, in whichever notation: `010.001.000.006` is 10.1.0.6 (leading zeros mean nothing, as for Go until 1.17),
/// and so is `::ffff:10.1.0.6`, which no packet carries. Older API servers
/// took both, and store what was written.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    match parse(text) {
        Some(address) => Ok(address.to_canonical()),
        None => Err(format!("{text:?} is not an IP address: write 10.0.0.1 or fd00::1")),
    }
}

/// `None` where any part is not understood: without one of its exceptions a block would be wider than it says.
pub(super) fn block(block: &IPBlock, at: Arguments<'_>, problems: &mut Problems) -> Option<IpBlock> {
    let cidr = problems.keep(format_args!("{at}.cidr"), net(&block.cidr));
    let written = block.except.iter().flatten().enumerate();
    let except: Vec<Option<IpNet>> =
        written.map(|(i, text)| problems.keep(format_args!("{at}.except[{i}]"), net(text))).collect();
    let cidr = cidr?;
    for (i, except) in except.iter().enumerate() {
        problems.keep(format_args!("{at}.except[{i}]"), IpBlock::new(cidr, *except));
    }
    IpBlock::new(cidr, except.into_iter().collect::<Option<Vec<_>>>()?).ok()
}

/// The block, in whichever notation, as [`address`]. One of IPv4-mapped addresses that reaches beyond them is neither of
/// IPv4 nor what any IPv6 packet carries.
pub(crate) fn net(text: &str) -> Result<IpNet, String> {
    const MAPPED: u8 = 96;
    let malformed = || format!("{text:?} is not a CIDR: write 10.0.0.0/8 or fd00::/8");
    let (start, length) = text.split_once('/').ok_or_else(malformed)?;
    let start = parse(start).ok_or_else(malformed)?;
    let length = number(length).ok_or_else(malformed)?;
    let (start, length) = match start.to_canonical() {
        canonical if canonical != start => {
            let within = length.checked_sub(MAPPED);
            (
                canonical,
                within.ok_or_else(|| format!("{text:?} is wider than all IPv4-mapped addresses: write it as IPv4"))?,
            )
        }
        _ => (start, length),
    };
    IpNet::new(start, length).map_err(|_| malformed())
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// As it is written: IPv4-mapped addresses are of IPv6.
fn parse(text: &str) -> Option<IpAddr> {
    let is_separator = |letter| matches!(letter, '.' | ':');
    let stripped = || text.split_inclusive(is_separator).map(without_zeros).collect::<String>().parse();
    text.parse().or_else(|_| stripped()).ok()
}

/// One number of an address, and the separator after it.
fn without_zeros(part: &str) -> &str {
    let zeros = part.bytes().take_while(|byte| *byte == b'0').count();
    let is_zero = part.as_bytes().get(zeros).is_none_or(|next| !next.is_ascii_hexdigit());
    &part[zeros - usize::from(is_zero && zeros > 0)..]
}
