use std::fmt;

use serde::Deserialize;

use crate::probe::{Family, Kind};

/// Whether one flow is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The source: `NAMESPACE/POD`, `ext/NAME` or `node/NAME`.
    pub from: String,
    /// The destination, in the same form, or `svc/NAME`.
    pub to: String,
    /// With which packets.
    pub kind: Kind,
    /// With which addresses.
    pub family: Family,
    /// Whether it is.
    pub allowed: bool,
}

/// A protocol, as expectations name it.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
    /// An echo request of the family; the port is 0.
    Icmp,
}

/// What a case's file says.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawExpectations {
    /// Of one flow.
    One {
        from: String,
        to: String,
        protocol: Protocol,
        port: u16,
        #[serde(default)]
        family: Family,
        allowed: bool,
    },
    /// Of all flows of one source on some ports.
    Many {
        from: String,
        on: Vec<(Protocol, u16)>,
        #[serde(default)]
        family: Family,
        allowed: Vec<String>,
        denied: Vec<String>,
    },
}

impl RawExpectations {
    fn expand(self) -> Vec<Expectation> {
        match self {
            Self::One { from, to, protocol, port, family, allowed } => {
                vec![Expectation { from, to, kind: protocol.on(port), family, allowed }]
            }
            Self::Many { from, on, family, allowed, denied } => {
                let verdicts = allowed.into_iter().map(|to| (to, true)).chain(denied.into_iter().map(|to| (to, false)));
                verdicts
                    .flat_map(|(to, allowed)| on.iter().map(move |port| (to.clone(), *port, allowed)))
                    .map(|(to, (protocol, port), allowed)| Expectation {
                        from: from.clone(),
                        to,
                        kind: protocol.on(port),
                        family,
                        allowed,
                    })
                    .collect()
            }
        }
    }
}

impl Protocol {
    fn on(self, port: u16) -> Kind {
        match self {
            Self::Tcp => Kind::Tcp(port),
            Self::Udp => Kind::Udp(port),
            Self::Sctp => Kind::Sctp(port),
            Self::Icmp => Kind::Echo,
        }
    }
}

/// The `expect` of a step, in either form.
pub(super) fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Expectation>, D::Error> {
    let raw = Vec::<RawExpectations>::deserialize(deserializer)?;
    Ok(raw.into_iter().flat_map(RawExpectations::expand).collect())
}

/// `x/a -> y/b TCP 80 IPv4`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {} {}", self.from, self.to, self.kind, self.family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{Action, Step};

    fn step(expect: &str) -> Result<Vec<Expectation>, serde_json::Error> {
        serde_json::from_str::<Step>(&format!(r#"{{"actions": [], "expect": [{expect}]}}"#)).map(|step| step.expect)
    }

    #[test]
    fn both_forms_of_expectations_say_the_same() {
        let one = r#"{"from":"x/a","to":"x/b","protocol":"UDP","port":53,"family":"ipv6","allowed":true},
                     {"from":"x/a","to":"y/c","protocol":"UDP","port":53,"family":"ipv6","allowed":false}"#;
        let many = r#"{"from":"x/a","on":[["UDP",53]],"family":"ipv6","allowed":["x/b"],"denied":["y/c"]}"#;
        assert_eq!(step(one).unwrap(), step(many).unwrap());
        assert_eq!(step(one).unwrap()[1].to_string(), "x/a -> y/c UDP 53 IPv6");
        let echo = r#"{"from":"x/a","to":"node/n","protocol":"ICMP","port":0,"allowed":true}"#;
        assert_eq!(step(echo).unwrap()[0].kind, Kind::Echo);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        assert!(step(r#"{"from":"x/a","on":[["TCP",53]],"allowed":["x/b"]}"#).is_err());
        assert!(step(r#"{"from":"x/a","to":"x/b","protocol":"DCCP","port":53,"allowed":true}"#).is_err());
        assert!(step(r#"{"from":"x/a","to":"x/b","protocol":"TCP","port":65536,"allowed":true}"#).is_err());
        let live = |protocol| {
            let flow = format!(r#"{{"from":"x/a","to":"x/b","protocol":"{protocol}","port":80,"survives":true}}"#);
            serde_json::from_str::<Step>(&format!(r#"{{"actions": [], "live": [{flow}], "expect": []}}"#))
        };
        assert!(live("TCP").is_ok() && live("UDP").is_err());
        assert!(serde_json::from_str::<Action>(r#"{"op":"renamePod","namespace":"x","name":"a"}"#).is_err());
    }
}
