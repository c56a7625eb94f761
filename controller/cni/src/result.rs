//! What the plugins before this one made.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Deserialize;

use crate::{CniError, Code};

/// A result of any version from 0.3.0 on, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Previous {
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    ips: Vec<Ip>,
}

#[derive(Debug, Deserialize)]
struct Interface {
    name: String,
    /// The network namespace that it is in; none or nothing where that is the node's.
    #[serde(default)]
    sandbox: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Ip {
    /// As `10.0.0.1/24`.
    address: String,
}

/// The pod's addresses, and the interfaces of the node that were made for it.
///
/// # Errors
/// Where that is not to be found.
pub(crate) fn read(result: &str) -> Result<(BTreeSet<IpAddr>, Vec<String>), CniError> {
    let wrong = |what: String| CniError::new(Code::DECODING, format!("prevResult is not understood: {what}"));
    let previous: Previous = serde_json::from_str(result).map_err(|error| wrong(error.to_string()))?;
    let address = |ip: &Ip| {
        let (address, _) = ip.address.split_once('/').unwrap_or((&ip.address, ""));
        address.parse().map_err(|_| wrong(format!("`{}` is no address", ip.address)))
    };
    let addresses = previous.ips.iter().map(address).collect::<Result<_, _>>()?;
    let on_node = |interface: &Interface| interface.sandbox.as_ref().is_none_or(String::is_empty);
    let links = previous.interfaces.into_iter().filter(on_node).map(|interface| interface.name);
    Ok((addresses, links.collect()))
}
