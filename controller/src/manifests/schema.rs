//! The shape of the objects that are read, as data.

use std::fmt;

use super::node::{Entry, Node, Value};
use crate::convert::Problem;

/// What a value must be.
pub(crate) enum Schema {
    Text,
    Integer,
    IntegerOrText,
    Flag,
    /// A map from text to text.
    TextMap,
    /// Anything: it is looked at later.
    Any,
    List(&'static Schema),
    /// A list, or without the brackets the only entry of one.
    OneOrMany(&'static Schema),
    /// These fields and no others. One without a value is refused: the file may be half written.
    Closed(&'static [(&'static str, Schema)]),
    /// These fields; others are dropped.
    Open(&'static [(&'static str, Schema)]),
}

use Schema::{Any, Closed, Flag, Integer, IntegerOrText, List, OneOrMany, Open, Text, TextMap};

const METADATA: Schema = Open(&[
    ("name", Text),
    ("namespace", Text),
    ("labels", TextMap),
    ("creationTimestamp", Text),
    ("deletionTimestamp", Text),
    ("resourceVersion", Text),
]);

/// The same of a policy.
const METADATA_OF_POLICY: Schema = Open(&[
    ("name", Text),
    ("namespace", Text),
    ("labels", TextMap),
    ("annotations", Open(&[("palisade.dev/enforcement", Text), ("palisade.dev/lint-ignore", Text)])),
    ("creationTimestamp", Text),
    ("deletionTimestamp", Text),
    ("resourceVersion", Text),
]);

/// `v1` Namespace: what is read of it.
pub(super) const NAMESPACE: Schema = Open(&[("metadata", METADATA)]);

const CONTAINERS: Schema = List(&Open(&[
    ("name", Text),
    ("restartPolicy", Text),
    ("ports", List(&Open(&[("name", Text), ("containerPort", Integer), ("protocol", Text)]))),
]));

const ADDRESSES: Schema = List(&Open(&[("ip", Text)]));

/// `v1` Pod: what is read of it.
pub(super) const POD: Schema = Open(&[
    ("metadata", METADATA),
    (
        "spec",
        Open(&[("nodeName", Text), ("hostNetwork", Flag), ("containers", CONTAINERS), ("initContainers", CONTAINERS)]),
    ),
    (
        "status",
        Open(&[("phase", Text), ("podIP", Text), ("podIPs", ADDRESSES), ("hostIP", Text), ("hostIPs", ADDRESSES)]),
    ),
]);

const SELECTOR: Schema = Closed(&[
    ("matchLabels", TextMap),
    ("matchExpressions", List(&Closed(&[("key", Text), ("operator", Text), ("values", List(&Text))]))),
]);

const PEERS: Schema = List(&Closed(&[
    ("podSelector", SELECTOR),
    ("namespaceSelector", SELECTOR),
    ("ipBlock", Closed(&[("cidr", Text), ("except", List(&Text))])),
]));

const PORTS: Schema = List(&Closed(&[("protocol", Text), ("port", IntegerOrText), ("endPort", Integer)]));

/// `networking.k8s.io/v1` NetworkPolicy: all of it. (`status` was there for a while, and is of no meaning.)
pub(super) const NETWORK_POLICY: Schema = Closed(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("metadata", METADATA_OF_POLICY),
    (
        "spec",
        Closed(&[
            ("podSelector", SELECTOR),
            ("policyTypes", List(&Text)),
            ("ingress", List(&Closed(&[("from", PEERS), ("ports", PORTS)]))),
            ("egress", List(&Closed(&[("to", PEERS), ("ports", PORTS)]))),
        ]),
    ),
    ("status", Open(&[])),
]);

/// `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy. What is not understood of a rule closes that rule, so that its
/// form is not looked at here.
pub(super) const CLUSTER_NETWORK_POLICY: Schema = Closed(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("metadata", METADATA_OF_POLICY),
    (
        "spec",
        Closed(&[
            ("tier", Text),
            ("priority", Integer),
            (
                "subject",
                Closed(&[
                    ("namespaces", SELECTOR),
                    ("pods", Closed(&[("namespaceSelector", SELECTOR), ("podSelector", SELECTOR)])),
                ]),
            ),
            ("ingress", List(&Any)),
            ("egress", List(&Any)),
        ]),
    ),
    ("status", Open(&[])),
]);

/// `v1` Service: what is read of it.
pub(super) const SERVICE: Schema = Open(&[
    ("metadata", METADATA),
    (
        "spec",
        Open(&[
            ("selector", TextMap),
            (
                "ports",
                List(&Open(&[("name", Text), ("protocol", Text), ("port", Integer), ("targetPort", IntegerOrText)])),
            ),
            ("clusterIP", Text),
            ("clusterIPs", List(&Text)),
        ]),
    ),
]);

/// `networking.k8s.io/v1` ServiceCIDR: what is read of it.
pub(super) const SERVICE_CIDR: Schema = Open(&[("spec", Open(&[("cidrs", List(&Text))]))]);

/// What makes pods: what is read of it.
pub(super) const WORKLOAD: Schema = Open(&[
    ("metadata", METADATA),
    ("spec", Open(&[("template", POD), ("jobTemplate", Open(&[("spec", Open(&[("template", POD)]))]))])),
]);

/// `v1` Node: what is read of it.
pub(super) const NODE: Schema = Open(&[
    ("metadata", METADATA),
    ("spec", Open(&[("podCIDR", Text), ("podCIDRs", List(&Text))])),
    ("status", Open(&[("addresses", List(&Open(&[("address", Text)])))])),
]);

impl Schema {
    /// What contradicts the schema, which is that of a `noun`.
    pub(super) fn problems(&self, node: &Node<'_>, noun: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        Reading { noun, problems: &mut problems }.value(self, node, &At::Root);
        problems
    }

    /// What a field of a map has to be; `None` where it is not known.
    pub(super) fn of_field(&self, key: &str) -> Option<&Self> {
        match self {
            Open(fields) | Closed(fields) => fields.iter().find(|(name, _)| *name == key).map(|(_, schema)| schema),
            TextMap => Some(&Text),
            Any => Some(&Any),
            _ => None,
        }
    }

    /// What the items of a list have to be.
    pub(super) fn of_items(&self) -> &Self {
        match self {
            List(of) | OneOrMany(of) => of,
            _ => &Any,
        }
    }
}

/// Where a value is: written out only where something is wrong with it.
enum At<'a> {
    Root,
    Field(&'a Self, &'a str),
    Key(&'a Self, &'a str),
    Item(&'a Self, usize),
}

/// `spec.ingress[0].from`, or `labels[app]` of a map.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(of, name) => write!(f, "{of}.{name}"),
            Self::Key(of, key) => write!(f, "{of}[{key}]"),
            Self::Item(of, number) => write!(f, "{of}[{number}]"),
        }
    }
}

struct Reading<'a> {
    /// What is read.
    noun: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn refuse(&mut self, field: &At<'_>, message: String) {
        self.problems.push(Problem { field: field.to_string(), message });
    }

    fn value(&mut self, schema: &Schema, node: &Node<'_>, at: &At<'_>) {
        match (schema, &node.value) {
            (Any, _) | (Text | IntegerOrText, Value::Text(_)) | (Flag, Value::Flag(_)) => {}
            (Integer | IntegerOrText, Value::Number(number)) if is_i32(number) => {}
            (List(of) | OneOrMany(of), Value::List(items)) => {
                items.iter().enumerate().for_each(|(number, item)| self.value(of, item, &At::Item(at, number)));
            }
            (OneOrMany(of), _) => self.value(of, node, at),
            (TextMap, Value::Map(entries)) => {
                entries.iter().for_each(|entry| self.value(&Text, &entry.node, &At::Key(at, &entry.key)));
            }
            (Open(_) | Closed(_), Value::Map(entries)) => {
                entries.iter().for_each(|entry| self.field(schema, entry, &At::Field(at, &entry.key)));
            }
            (schema, found) => {
                self.refuse(at, format!("must be {}, but is {found}{}", schema.noun(), schema.hint(found)));
            }
        }
    }

    fn field(&mut self, of: &Schema, Entry { key, node, .. }: &Entry<'_>, at: &At<'_>) {
        match (of.of_field(key), of) {
            (Some(schema), Closed(_)) if matches!(node.value, Value::Nothing) => {
                self.refuse(at, format!("has no value: write {}, or leave the field out", schema.noun()));
            }
            (Some(_), _) if node.is_null() => {}
            (Some(schema), _) => self.value(schema, node, at),
            (None, Closed(fields)) => self.refuse(at, unknown(key, self.noun, fields)),
            (None, _) => {}
        }
    }
}

impl Schema {
    fn noun(&self) -> &'static str {
        match self {
            Text => "text",
            Integer => "a whole number",
            IntegerOrText => "a whole number or a name",
            Flag => "true or false",
            TextMap => "a map of text ({} for none)",
            Any => "anything",
            List(_) | OneOrMany(_) => "a list ([] for an empty one)",
            Closed(_) | Open(_) => "a map ({} for an empty one)",
        }
    }

    fn hint(&self, found: &Value<'_>) -> &'static str {
        match (self, found) {
            (Text, Value::Number(_) | Value::Flag(_)) => ": put it in quotes",
            (Integer, Value::Text(_)) => ": leave the quotes out",
            _ => "",
        }
    }
}

fn is_i32(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

fn unknown(key: &str, noun: &str, fields: &[(&str, Schema)]) -> String {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    match nearest(key, &names) {
        Some(name) => format!("is no field of a {noun}: did you mean {name}?"),
        None => format!("is no field of a {noun}: known here are {}", names.join(", ")),
    }
}

/// The name that `word` was probably meant to be: less than half of it differs.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &str| strsim::osa_distance(&word.to_lowercase(), &name.to_lowercase());
    let (distance, name) = names.iter().map(|name| (distance(name), *name)).min()?;
    (2 * distance < name.len()).then_some(name)
}
