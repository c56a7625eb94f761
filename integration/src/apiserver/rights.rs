use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::ApiError;

/// The rules of the ClusterRole in `deploy/palisade.yaml`: what the agents may do where they are installed.
///
/// # Errors
/// If the file is not there, or there is not one ClusterRole in it.
pub fn deployed_rules() -> Result<Vec<Value>, ApiError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/palisade.yaml");
    let read =
        || rules(&fs::read_to_string(&path)?).ok_or_else(|| io::Error::other("it has no ClusterRole with rules"));
    read().map_err(ApiError::io(format!("read the ClusterRole in {}", path.display())))
}

fn rules(manifest: &str) -> Option<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).ok()?;
    let role = documents.into_iter().find(|document| document["kind"] == "ClusterRole")?;
    role["rules"].as_array().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_role_counts() {
        let manifest = "kind: ServiceAccount\n---\nkind: ClusterRole\nrules:\n- resources: [pods]\n  verbs: [list]\n";
        assert_eq!(rules(manifest).unwrap()[0]["resources"][0], "pods");
        assert_eq!(rules("kind: ClusterRoleBinding\n"), None);
    }

    #[test]
    fn the_deployed_role_is_found() {
        assert!(!deployed_rules().unwrap().is_empty());
    }
}
