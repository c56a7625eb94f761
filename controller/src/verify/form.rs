//! The file of expectations: its form, and what it says.
//!
//! `deploy/verify.schema.json` is the same form for editors (`tests.rs` holds the two together).

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use palisade_model::{ContainerPort, Labels, NamespacedName, Protocol};
use serde::Deserialize;

use super::expectations::{Case, End, Port, Wanted, name};
use crate::convert::{self, Problem};
use crate::manifests::{Document, ReadErrors, Schema, strict};

use Schema::{Closed, Flag, Integer, IntegerOrText, List, OneOrMany, Text, TextMap};

const END: Schema = Closed(&[
    ("pod", Text),
    ("workload", Text),
    ("service", Text),
    ("namespace", Text),
    ("labels", TextMap),
    (
        "hypothetical",
        Closed(&[
            ("namespace", Text),
            ("labels", TextMap),
            ("ports", List(&Closed(&[("name", Text), ("port", Integer), ("protocol", Text)]))),
        ]),
    ),
    ("address", Text),
    ("any", Flag),
]);

/// The form of a file.
pub(crate) const FILE: Schema = Closed(&[(
    "cases",
    List(&Closed(&[
        ("name", Text),
        ("from", OneOrMany(&END)),
        ("to", OneOrMany(&END)),
        ("port", IntegerOrText),
        ("ports", List(&IntegerOrText)),
        ("protocol", Text),
        ("expect", Text),
        ("only", Flag),
        ("allowEmpty", Flag),
    ])),
)]);

#[derive(Debug, Deserialize)]
struct WrittenFile {
    cases: Vec<WrittenCase>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenCase {
    name: Option<String>,
    from: Vec<WrittenEnd>,
    to: Vec<WrittenEnd>,
    port: Option<IntOrString>,
    ports: Option<Vec<IntOrString>>,
    protocol: Option<String>,
    expect: String,
    #[serde(default)]
    only: bool,
    #[serde(default)]
    allow_empty: bool,
}

#[derive(Debug, Default, Deserialize)]
struct WrittenEnd {
    pod: Option<String>,
    workload: Option<String>,
    service: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    hypothetical: Option<WrittenPod>,
    address: Option<String>,
    any: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct WrittenPod {
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<WrittenPort>,
}

#[derive(Debug, Deserialize)]
struct WrittenPort {
    name: String,
    port: u16,
    protocol: Option<String>,
}

/// The cases of a file.
///
/// # Errors
/// All that is wrong in it, each with its line and field.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Case>, ReadErrors> {
    let documents = strict::<WrittenFile>(file, text, &FILE, "file of expectations")?;
    let (mut cases, mut errors) = (Vec::new(), Vec::new());
    for document in &documents {
        if document.value.cases.is_empty() {
            errors.push(document.error(problem("cases", "is empty: nothing would be verified")));
        }
        for (i, written) in document.value.cases.iter().enumerate() {
            let reading = Reading { document, at: format!("cases[{i}]") };
            match reading.case(written) {
                Ok(case) => cases.push(case),
                Err(problem) => errors.push(document.error(problem)),
            }
        }
    }
    if errors.is_empty() { Ok(cases) } else { Err(ReadErrors(errors)) }
}

fn problem(field: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { field: field.into(), message: message.into() }
}

/// Reads one case.
struct Reading<'a> {
    document: &'a Document<WrittenFile>,
    at: String,
}

impl Reading<'_> {
    fn refuse<T>(&self, field: &str, message: impl Into<String>) -> Result<T, Problem> {
        Err(problem(format!("{}.{field}", self.at), message))
    }

    fn case(&self, written: &WrittenCase) -> Result<Case, Problem> {
        let allowed = match written.expect.as_str() {
            "allowed" => true,
            "denied" => false,
            other => return self.refuse("expect", format!("{other:?} is not one of allowed, denied")),
        };
        let (from, to) = (self.ends("from", &written.from)?, self.ends("to", &written.to)?);
        let traffic = self.traffic(written)?;
        self.check_ends(&from, &to)?;
        if written.only && !allowed {
            return self.refuse("only", "goes with `expect: allowed` alone: nobody but these is allowed");
        }
        if written.only && from.contains(&End::Any) {
            return self.refuse("only", "leaves nobody to be denied, where `from` is any");
        }
        let name = written.name.clone().unwrap_or_else(|| name(&from, &to, &traffic, allowed, written.only));
        let place = self.document.place(&self.at);
        Ok(Case { place, name, from, to, traffic, allowed, only: written.only, allow_empty: written.allow_empty })
    }

    fn check_ends(&self, from: &[End], to: &[End]) -> Result<(), Problem> {
        if from.iter().any(|end| matches!(end, End::Service(_))) {
            return self.refuse("from", "is a Service, which opens no connections: name the pods behind it");
        }
        if to.iter().any(|end| matches!(end, End::Service(_))) && to.len() > 1 {
            return self.refuse("to", "has a Service beside others, whose ports are others: make them two cases");
        }
        Ok(())
    }

    fn ends(&self, field: &str, written: &[WrittenEnd]) -> Result<Vec<End>, Problem> {
        if written.is_empty() {
            return self.refuse(field, "is empty: say who");
        }
        let is_list = self.document.is_list(&format!("{}.{field}", self.at));
        let at = |i: usize| if is_list { format!("{field}[{i}]") } else { field.to_owned() };
        written.iter().enumerate().map(|(i, end)| self.end(&at(i), end)).collect()
    }

    fn end(&self, at: &str, written: &WrittenEnd) -> Result<End, Problem> {
        let id = |field: &str, text: &str| match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(NamespacedName::new(namespace, name))
            }
            _ => self.refuse(&format!("{at}.{field}"), format!("{text:?} is not of the form NAMESPACE/NAME")),
        };
        let named = [("pod", &written.pod), ("workload", &written.workload), ("service", &written.service)];
        let labelled = written.namespace.is_some() || written.labels.is_some();
        let ways = named.iter().filter(|(_, value)| value.is_some()).count()
            + usize::from(labelled)
            + usize::from(written.hypothetical.is_some())
            + usize::from(written.address.is_some())
            + usize::from(written.any.is_some());
        if ways != 1 {
            let said = if ways == 0 { "says nobody" } else { "says several" };
            return self.refuse(
                at,
                format!(
                    "{said}: write one of pod, workload, service, namespace and labels, hypothetical, address, any"
                ),
            );
        }
        match written {
            WrittenEnd { pod: Some(pod), .. } => id("pod", pod).map(End::Pod),
            WrittenEnd { workload: Some(workload), .. } => id("workload", workload).map(End::Workload),
            WrittenEnd { service: Some(service), .. } => id("service", service).map(End::Service),
            WrittenEnd { hypothetical: Some(pod), .. } => self.hypothetical(&format!("{at}.hypothetical"), pod),
            WrittenEnd { address: Some(address), .. } => match convert::address(address) {
                Ok(address) => Ok(End::Address(address)),
                Err(message) => self.refuse(&format!("{at}.address"), message),
            },
            WrittenEnd { any: Some(true), .. } => Ok(End::Any),
            WrittenEnd { any: Some(false), .. } => self.refuse(&format!("{at}.any"), "can only be true"),
            _ => {
                let labels = written.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
                let labels: Labels = labels.collect();
                if written.namespace.is_none() && labels.iter().next().is_none() {
                    return self.refuse(at, "has neither a namespace nor labels: `any: true` means all pods");
                }
                Ok(End::Labelled { namespace: written.namespace.clone(), labels })
            }
        }
    }

    fn hypothetical(&self, at: &str, written: &WrittenPod) -> Result<End, Problem> {
        let port = |(i, port): (usize, &WrittenPort)| {
            let at = format!("{at}.ports[{i}]");
            let protocol = self.protocol(&format!("{at}.protocol"), port.protocol.as_deref())?;
            Ok(ContainerPort { name: port.name.as_str().into(), protocol, port: port.port })
        };
        let ports = written.ports.iter().enumerate().map(port).collect::<Result<_, Problem>>()?;
        let labels = written.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Ok(End::Hypothetical { namespace: written.namespace.clone(), labels, ports })
    }

    fn protocol(&self, field: &str, written: Option<&str>) -> Result<Protocol, Problem> {
        convert::protocol(written).or_else(|message| self.refuse(field, message))
    }

    fn traffic(&self, written: &WrittenCase) -> Result<Wanted, Problem> {
        let ports: Vec<(String, &IntOrString)> = match (&written.port, &written.ports) {
            (Some(_), Some(_)) => return self.refuse("ports", "stands beside `port`: write one of the two"),
            (Some(port), None) => vec![("port".to_owned(), port)],
            (None, Some(ports)) => ports.iter().enumerate().map(|(i, port)| (format!("ports[{i}]"), port)).collect(),
            (None, None) => Vec::new(),
        };
        if written.protocol.as_deref() == Some("ICMP") {
            return match ports.first() {
                Some((field, _)) => self.refuse(field, "ICMP has no ports: leave it out"),
                None => Ok(Wanted::Icmp),
            };
        }
        let protocol = convert::protocol(written.protocol.as_deref());
        let protocol = protocol.or_else(|_| self.refuse("protocol", "is not one of TCP, UDP, SCTP, ICMP"))?;
        if ports.is_empty() {
            return self.refuse("port", "is missing: a number, or a name that the destination declares");
        }
        let ports = ports.into_iter().map(|(field, port)| match port {
            IntOrString::String(name) => Ok(Port::Name(name.clone())),
            IntOrString::Int(number) => match u16::try_from(*number) {
                Ok(number) if number > 0 => Ok(Port::Number(number)),
                _ => self.refuse(&field, format!("{number} is not a port: 1 to 65535")),
            },
        });
        Ok(Wanted::Ports(protocol, ports.collect::<Result<_, _>>()?))
    }
}
