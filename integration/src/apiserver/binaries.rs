use std::env;
use std::path::{Path, PathBuf};

use super::ApiError;

/// `TEST_ASSET_KUBE_APISERVER`, else in `KUBEBUILDER_ASSETS`, else the one that `setup-api.sh` has built.
pub(super) fn kube_apiserver() -> Result<PathBuf, ApiError> {
    program("kube-apiserver", "k8s.io/kubernetes")
}

/// `TEST_ASSET_ETCD`, else in `KUBEBUILDER_ASSETS`, else the one that `setup-api.sh` has built.
pub(super) fn etcd() -> Result<PathBuf, ApiError> {
    program("etcd", "go.etcd.io/etcd/server/v3")
}

fn program(name: &'static str, module: &str) -> Result<PathBuf, ApiError> {
    let built = || cache().join(format!("{name}-{}", version(module)));
    existing(name, asset(name).unwrap_or_else(built))
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

/// The version of a module that `integration/apiserver/go.mod` requires.
fn version(module: &str) -> &'static str {
    include_str!("../../apiserver/go.mod")
        .lines()
        .filter_map(|line| line.trim().strip_prefix(module)?.strip_prefix(' ')?.split(' ').next())
        .find(|version| version.starts_with('v'))
        .expect("go.mod requires the modules that are built from it")
}

fn existing(program: &'static str, path: PathBuf) -> Result<PathBuf, ApiError> {
    if path.exists() { Ok(path) } else { Err(ApiError::Missing { program, path }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_read_from_the_module() {
        for (module, series) in [("k8s.io/kubernetes", "v1."), ("go.etcd.io/etcd/server/v3", "v3.")] {
            assert!(version(module).starts_with(series), "{module} {}", version(module));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = existing("etcd", "/no/such/etcd".into()).unwrap_err().to_string();
        assert!(error.contains("/no/such/etcd") && error.contains("setup-api.sh"), "{error}");
    }
}
