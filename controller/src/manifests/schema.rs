//! The shape of the objects that are read, as data.

use serde_json::{Map, Value as Json};

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
    /// The part of `node` that the schema knows, as JSON; what contradicts it is added to `problems` and left out.
    pub(super) fn read(&self, node: &Node, noun: &str, problems: &mut Vec<Problem>) -> Json {
        Reading { noun, problems }.value(self, node, "").unwrap_or_default()
    }
}

struct Reading<'a> {
    /// What is read.
    noun: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn refuse(&mut self, field: &str, message: String) {
        self.problems.push(Problem { field: field.to_owned(), message });
    }

    fn value(&mut self, schema: &Schema, node: &Node, at: &str) -> Option<Json> {
        match (schema, &node.value) {
            (Text, Value::Scalar(json @ Json::String(_))) | (Flag, Value::Scalar(json @ Json::Bool(_))) => {
                Some(json.clone())
            }
            (Integer | IntegerOrText, Value::Scalar(Json::Number(n))) if is_i32(n) => Some(Json::Number(n.clone())),
            (IntegerOrText, Value::Scalar(json @ Json::String(_))) => Some(json.clone()),
            (Any, _) => Some(json(node)),
            (List(of) | OneOrMany(of), Value::List(items)) => Some(self.list(of, items, at)),
            (OneOrMany(of), _) => self.value(of, node, at).map(|only| [only].into_iter().collect()),
            (TextMap, Value::Map(entries)) => Some(self.text_map(entries, at)),
            (Open(fields), Value::Map(entries)) => Some(self.fields(fields, false, entries, at)),
            (Closed(fields), Value::Map(entries)) => Some(self.fields(fields, true, entries, at)),
            (schema, found) => {
                self.refuse(at, format!("must be {}, but is {found}{}", schema.noun(), schema.hint(found)));
                None
            }
        }
    }

    fn list(&mut self, of: &Schema, items: &[Node], at: &str) -> Json {
        let items = items.iter().enumerate();
        items.filter_map(|(i, item)| self.value(of, item, &format!("{at}[{i}]"))).collect()
    }

    fn text_map(&mut self, entries: &[Entry], at: &str) -> Json {
        let values = entries.iter().filter_map(|entry| {
            let value = self.value(&Text, &entry.node, &format!("{at}[{}]", entry.key))?;
            Some((entry.key.clone(), value))
        });
        Json::Object(values.collect())
    }

    fn fields(&mut self, fields: &[(&str, Schema)], closed: bool, entries: &[Entry], at: &str) -> Json {
        let mut map = Map::new();
        for Entry { key, node, .. } in entries {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match fields.iter().find(|(name, _)| name == key) {
                Some((_, schema)) if closed && matches!(node.value, Value::Nothing) => {
                    let message = format!("has no value: write {}, or leave the field out", schema.noun());
                    self.refuse(&at, message);
                }
                Some(_) if node.is_null() => {}
                Some((_, schema)) => map.extend(self.value(schema, node, &at).map(|value| (key.clone(), value))),
                None if closed => self.refuse(&at, unknown(key, self.noun, fields)),
                None => {}
            }
        }
        Json::Object(map)
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

    fn hint(&self, found: &Value) -> &'static str {
        match (self, found) {
            (Text, Value::Scalar(Json::Number(_) | Json::Bool(_))) => ": put it in quotes",
            (Integer, Value::Scalar(Json::String(_))) => ": leave the quotes out",
            _ => "",
        }
    }
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Nothing => Json::Null,
        Value::Scalar(scalar) => scalar.clone(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
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
