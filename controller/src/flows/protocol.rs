//! The name of an IP protocol.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A protocol's number, written by its name where that is known: `TCP`, `UDP`, `SCTP`, `ICMP`, `ICMPv6`; otherwise as a
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpProtocol(pub u8);

const NAMES: [(u8, &str); 5] = [(1, "ICMP"), (6, "TCP"), (17, "UDP"), (58, "ICMPv6"), (132, "SCTP")];

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&self.0.to_string()),
        }
    }
}

/// A name, in whatever case, or a number.
impl FromStr for IpProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(number, _)| *number);
        let number = named.or_else(|| text.parse().ok());
        number
            .map(Self)
            .ok_or_else(|| format!("`{text}` is neither TCP, UDP, SCTP, ICMP nor ICMPv6, nor a number below 256"))
    }
}

impl Serialize for IpProtocol {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpProtocol {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_is_read_as_it_is_written() {
        for number in 0..=255 {
            let protocol = IpProtocol(number);
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("icmpv6".parse(), Ok(IpProtocol(58)));
        assert!("GRE".parse::<IpProtocol>().is_err() && "256".parse::<IpProtocol>().is_err());
    }
}
