use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::ApiError;

/// The rules of the ClusterRole in `deploy/palisade.yaml`: what the agents may do where they are installed.
///
/// # Errors
/// If the file is not there, or there is no ClusterRole in it.
pub fn deployed_rules() -> Result<Vec<Value>, ApiError> {
    deployed("ClusterRole")
}

/// The rules of the Role: what they may do in their own namespace.
///
/// # Errors
/// If the file is not there, or there is no Role in it.
pub fn deployed_rules_of_namespace() -> Result<Vec<Value>, ApiError> {
    deployed("Role")
}

fn deployed(kind: &str) -> Result<Vec<Value>, ApiError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/palisade.yaml");
    let missing = || io::Error::other(format!("it has no {kind} with rules"));
    let read = || rules(kind, &fs::read_to_string(&path)?).ok_or_else(missing);
    read().map_err(ApiError::io(format!("read the {kind} in {}", path.display())))
}

fn rules(kind: &str, manifest: &str) -> Option<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).ok()?;
    let role = documents.into_iter().find(|document| document["kind"] == kind)?;
    role["rules"].as_array().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_role_counts() {
        let manifest = "kind: ServiceAccount\n---\nkind: ClusterRole\nrules:\n- resources: [pods]\n  verbs: [list]\n";
        assert_eq!(rules("ClusterRole", manifest).unwrap()[0]["resources"][0], "pods");
        assert_eq!(rules("Role", manifest), None);
    }

    #[test]
    fn the_deployed_role_is_found() {
        assert!(!deployed_rules().unwrap().is_empty() && !deployed_rules_of_namespace().unwrap().is_empty());
    }
}
