use std::env;
use std::path::{Path, PathBuf};

use super::ApiError;

/// `TEST_ASSET_KUBE_APISERVER`, else in `KUBEBUILDER_ASSETS`, else the one that `setup-api.sh` has built.
pub(super) fn kube_apiserver() -> Result<PathBuf, ApiError> {
    let path = asset("kube-apiserver").unwrap_or_else(|| cache().join(format!("kube-apiserver-{}", version())));
    existing("kube-apiserver", path)
}

/// `TEST_ASSET_ETCD`, else in `KUBEBUILDER_ASSETS`, else in the search path.
pub(super) fn etcd() -> Result<PathBuf, ApiError> {
    let in_path = || {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|directory| directory.join("etcd")).find(|file| file.exists())
    };
    existing("etcd", asset("etcd").or_else(in_path).unwrap_or_else(|| "/usr/bin/etcd".into()))
}

fn asset(program: &str) -> Option<PathBuf> {
    let own = format!("TEST_ASSET_{}", program.to_uppercase().replace('-', "_"));
    let shared = || env::var_os("KUBEBUILDER_ASSETS").map(|directory| Path::new(&directory).join(program));
    env::var_os(own).map(PathBuf::from).or_else(shared).filter(|path| path.exists())
}

fn cache() -> PathBuf {
    let home = || Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("palisade")
}

/// The version in `integration/apiserver/go.mod`.
fn version() -> &'static str {
    include_str!("../../apiserver/go.mod")
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes ").filter(|version| version.starts_with('v')))
        .expect("the module requires k8s.io/kubernetes")
}

fn existing(program: &'static str, path: PathBuf) -> Result<PathBuf, ApiError> {
    if path.exists() { Ok(path) } else { Err(ApiError::Missing { program, path }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_module() {
        assert!(version().starts_with("v1."), "{}", version());
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = existing("etcd", "/no/such/etcd".into()).unwrap_err().to_string();
        assert!(error.contains("/no/such/etcd") && error.contains("setup-api.sh"), "{error}");
    }
}
