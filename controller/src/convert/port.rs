//! Ports and protocols.

use std::fmt::Arguments;

use k8s_openapi::api::networking::v1::NetworkPolicyPort;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use palisade_model::{PortMatch, PortRange, Protocol};

use super::Problems;

/// `None` where any part is not understood.
pub(super) fn port(entry: &NetworkPolicyPort, at: Arguments<'_>, problems: &mut Problems) -> Option<PortMatch> {
    let protocol = problems.keep(format_args!("{at}.protocol"), protocol(entry.protocol.as_deref()));
    let ports = ports(entry, at, problems);
    Some(match (protocol?, ports?) {
        (protocol, Wanted::Numbers(ports)) => PortMatch::Numbers { protocol, ports },
        (protocol, Wanted::Name(name)) => PortMatch::Named { protocol, name: name.into() },
    })
}

/// TCP where none is written.
pub(crate) fn protocol(name: Option<&str>) -> Result<Protocol, String> {
    match name {
        None => Ok(Protocol::Tcp),
        Some(name) => Protocol::named(name).ok_or_else(|| format!("{name:?} is not one of TCP, UDP, SCTP")),
    }
}

/// A port that can be connected to: 1 to 65535.
pub(super) fn number(number: i32) -> Result<u16, String> {
    match u16::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{number} is not a port: 1 to 65535")),
    }
}

enum Wanted<'a> {
    Numbers(PortRange),
    Name(&'a str),
}

fn ports<'a>(entry: &'a NetworkPolicyPort, at: Arguments<'_>, problems: &mut Problems) -> Option<Wanted<'a>> {
    match (&entry.port, entry.end_port) {
        (None, None) => Some(Wanted::Numbers(PortRange::ALL)),
        (None, Some(_)) => {
            problems.add(format_args!("{at}.endPort"), "endPort needs a port, the first of the range");
            None
        }
        (Some(IntOrString::Int(port)), None) => {
            Some(Wanted::Numbers(PortRange::single(problems.keep(format_args!("{at}.port"), number(*port))?)))
        }
        (Some(IntOrString::Int(port)), Some(end)) => {
            let (port, end) = (
                problems.keep(format_args!("{at}.port"), number(*port)),
                problems.keep(format_args!("{at}.endPort"), number(end)),
            );
            Some(Wanted::Numbers(problems.keep(format_args!("{at}.endPort"), PortRange::new(port?, end?))?))
        }
        (Some(IntOrString::String(name)), None) => {
            Some(Wanted::Name(problems.keep(format_args!("{at}.port"), service_name(name))?))
        }
        (Some(IntOrString::String(_)), Some(_)) => {
            problems.add(format_args!("{at}.endPort"), "endPort goes only with a numeric port, not with a named one");
            None
        }
    }
}

/// An IANA_SVC_NAME (RFC 6335): at most 15 of `[a-z0-9-]`, at least one letter, no hyphen at an end or beside another.
fn service_name(name: &str) -> Result<&str, String> {
    let valid = (1..=15).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.bytes().any(|b| b.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if valid {
        Ok(name)
    } else if name.parse::<u64>().is_ok() {
        Err(format!("{name:?} is text: write the port {name} without quotes"))
    } else {
        Err(format!(
            "{name:?} is not a port name: at most 15 of [a-z0-9-] with a letter among them, and single hyphens inside only"
        ))
    }
}
