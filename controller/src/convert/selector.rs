//! Label selectors.

use std::fmt::Arguments;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use palisade_model::{Requirement, Selector, SelectorError};

use super::Problems;

/// `None` where any requirement is not understood: without it the selector would match more.
pub(super) fn selector(selector: &LabelSelector, at: Arguments<'_>, problems: &mut Problems) -> Option<Selector> {
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| {
        problems.keep(format_args!("{at}.matchLabels[{key}]"), Requirement::new(key.as_str(), "In", [value.as_str()]))
    });
    let mut requirements: Vec<Option<Requirement>> = labels.collect();
    for (i, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let values = expression.values.iter().flatten().map(String::as_str);
        let requirement = Requirement::new(expression.key.as_str(), &expression.operator, values).map_err(|error| {
            problems.add(format_args!("{at}.matchExpressions[{i}].{}", wrong_field(&error)), error);
        });
        requirements.push(requirement.ok());
    }
    requirements.into_iter().collect()
}

fn wrong_field(error: &SelectorError) -> &'static str {
    match error {
        SelectorError::Key(_) => "key",
        SelectorError::Operator(_) => "operator",
        SelectorError::Value(_) | SelectorError::NoValues(_) | SelectorError::Values(_) => "values",
    }
}
