use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::Labels;

/// A label selector: all requirements must hold; without any it matches everything.
///
/// Canonical: requirements in ascending order, each once, so that selectors which say the same in the same terms are
/// equal. Source: `metav1.LabelSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector(Arc<[Requirement]>);

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    key: Arc<str>,
    operator: Operator,
}

/// What a [`Requirement`] asks of its label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// The label is there, with one of the values: ascending, each once, never none.
    In(Box<[Arc<str>]>),
    /// The label is absent, or has none of the values: ascending, each once, never none.
    NotIn(Box<[Arc<str>]>),
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// Why a requirement was refused. The API server refuses the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// The key is no qualified name.
    #[error(
        "label key {0:?} is not valid: [prefix/]name, where name has at most 63 of [A-Za-z0-9._-] and starts and ends with a letter or digit, and prefix is a DNS subdomain"
    )]
    Key(String),
    /// A value has a form that no label value can have.
    #[error(
        "label value {0:?} is not valid: at most 63 of [A-Za-z0-9._-], starting and ending with a letter or digit, or empty"
    )]
    Value(String),
    /// An operator that Kubernetes does not know.
    #[error("operator {0:?} is not one of In, NotIn, Exists, DoesNotExist")]
    Operator(String),
    /// `In` or `NotIn` without values.
    #[error("values must not be empty for operator {0}")]
    NoValues(&'static str),
    /// `Exists` or `DoesNotExist` with values.
    #[error("values must be empty for operator {0}")]
    Values(&'static str),
}

impl Requirement {
    /// The requirement as `matchExpressions` writes it.
    ///
    /// # Errors
    /// [`SelectorError`] for a malformed key or value, an unknown operator, or values that do not go with it.
    pub fn new<V: Into<Arc<str>>>(
        key: impl Into<Arc<str>>,
        operator: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, SelectorError> {
        let key = key.into();
        let values: BTreeSet<Arc<str>> = values.into_iter().map(Into::into).collect();
        if !is_qualified_name(&key) {
            return Err(SelectorError::Key(key.to_string()));
        }
        if let Some(value) = values.iter().find(|value| !(value.is_empty() || is_label_name(value))) {
            return Err(SelectorError::Value(value.to_string()));
        }
        let operator = match (operator, values.is_empty()) {
            ("In", false) => Operator::In(values.into_iter().collect()),
            ("NotIn", false) => Operator::NotIn(values.into_iter().collect()),
            ("Exists", true) => Operator::Exists,
            ("DoesNotExist", true) => Operator::DoesNotExist,
            ("In", true) => return Err(SelectorError::NoValues("In")),
            ("NotIn", true) => return Err(SelectorError::NoValues("NotIn")),
            ("Exists", false) => return Err(SelectorError::Values("Exists")),
            ("DoesNotExist", false) => return Err(SelectorError::Values("DoesNotExist")),
            _ => return Err(SelectorError::Operator(operator.to_owned())),
        };
        Ok(Self { key, operator })
    }

    /// The label's key.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// What is asked of it.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Whether `labels` satisfy this requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| holds(values, value)),
            Operator::NotIn(values) => value.is_none_or(|value| !holds(values, value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl Selector {
    /// The requirements, in ascending order.
    pub fn requirements(&self) -> &[Requirement] {
        &self.0
    }

    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels))
    }
}

impl FromIterator<Requirement> for Selector {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        let sorted: BTreeSet<Requirement> = requirements.into_iter().collect();
        Self(sorted.into_iter().collect())
    }
}

/// As kubectl writes it: `app=web,tier in (a,b),!legacy`; `{}` for the selector that matches everything.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("{}");
        }
        for (i, requirement) in self.0.iter().enumerate() {
            write!(f, "{}{requirement}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let join = |values: &[Arc<str>]| values.iter().map(|v| &**v).collect::<Vec<_>>().join(",");
        match &self.operator {
            Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", join(values)),
            Operator::In(values) => write!(f, "{key} in ({})", join(values)),
            Operator::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", join(values)),
            Operator::NotIn(values) => write!(f, "{key} notin ({})", join(values)),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// Whether `value` is one of `values`, which are ascending.
fn holds(values: &[Arc<str>], value: &str) -> bool {
    values.binary_search_by(|other| (**other).cmp(value)).is_ok()
}

/// `[prefix/]name`, as `validation.IsQualifiedName` of apimachinery has it.
fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_name(name),
        None => is_label_name(key),
    }
}

fn is_label_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let at_ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && at_ends(bytes.first())
        && at_ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
}

fn is_dns_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        let at_ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        at_ends(label.as_bytes().first())
            && at_ends(label.as_bytes().last())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, operator: &str, values: &[&str]) -> Result<Requirement, SelectorError> {
        Requirement::new(key, operator, values.iter().copied())
    }

    #[test]
    fn matching_follows_the_operators() {
        let web = Labels::from_iter([("app", "web"), ("empty", "")]);
        for (key, operator, values, expected) in [
            ("app", "In", &["web", "db"][..], true),
            ("app", "In", &["db"], false),
            ("absent", "In", &["db"], false),
            ("absent", "NotIn", &["db"], true),
            ("app", "NotIn", &["web"], false),
            ("empty", "In", &[""], true),
            ("absent", "In", &[""], false),
            ("empty", "Exists", &[], true),
            ("absent", "Exists", &[], false),
            ("absent", "DoesNotExist", &[], true),
            ("empty", "DoesNotExist", &[], false),
        ] {
            let requirement = requirement(key, operator, values).unwrap();
            assert_eq!(requirement.matches(&web), expected, "{requirement}");
        }
        assert!(Selector::default().matches(&Labels::default()));
    }

    #[test]
    fn what_the_api_server_refuses_is_refused() {
        for (key, operator, values) in [
            ("", "Exists", &[][..]),
            ("-a", "Exists", &[]),
            ("a/b/c", "Exists", &[]),
            ("UPPER.example/a", "Exists", &[]),
            ("a", "In", &[]),
            ("a", "NotIn", &[]),
            ("a", "Exists", &["x"]),
            ("a", "Equals", &["x"]),
            ("a", "In", &["sp ace"]),
        ] {
            assert!(requirement(key, operator, values).is_err(), "{key} {operator} {values:?}");
        }
        assert!(requirement("kubernetes.io/metadata.name", "In", &["x"]).is_ok());
    }

    #[test]
    fn equal_selectors_are_equal_in_any_order() {
        let a = requirement("a", "In", &["x", "y"]).unwrap();
        let b = requirement("b", "Exists", &[]).unwrap();
        let one = Selector::from_iter([a.clone(), b.clone()]);
        let two = Selector::from_iter([b, a.clone(), a]);
        assert_eq!(one, two);
        assert_eq!(one.to_string(), "a in (x,y),b");
    }
}
