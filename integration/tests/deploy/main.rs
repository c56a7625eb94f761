//! What `deploy/` holds agrees with the program, with the API server, and with itself; so do workflows and pages.
//!
//! `integration/setup-deploy.sh` provides helm and actionlint; `PALISADE_BIN` names another binary than the one that was built beside
//! these tests.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod agent;
mod api;
mod chart;
mod container;
mod image;
mod in_cluster;
mod pages;
mod seccomp;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A file of `deploy/`.
pub(crate) fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// `HELM`, or the helm that `setup-deploy.sh` has built.
pub(crate) fn helm() -> PathBuf {
    built("helm", "HELM", "helm.sh/helm/v4", include_str!("../../helm/go.mod"))
}

/// The program that `variable` names, or that `setup-deploy.sh` has built of the version that a module requires.
pub(crate) fn built(name: &str, variable: &str, module: &str, requirements: &str) -> PathBuf {
    let in_cache = || {
        let required =
            |line: &str| Some(line.trim().strip_prefix(module)?.strip_prefix(' ')?.split(' ').next()?.to_owned());
        let version = requirements.lines().find_map(required).expect("the module requires what it is for");
        let home = || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        cache.join("palisade").join(format!("{name}-{version}"))
    };
    let path = std::env::var_os(variable).map_or_else(in_cache, PathBuf::from);
    assert!(path.exists(), "{} is not there: run integration/setup-deploy.sh", path.display());
    path
}

/// The objects in a file or a stream of YAML documents.
pub(crate) fn objects(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The objects of `palisade.yaml`.
pub(crate) fn one_file() -> Vec<Value> {
    objects(&std::fs::read_to_string(deploy("palisade.yaml")).unwrap())
}

/// The one object of a kind.
pub(crate) fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "several {kind}s");
    first
}

/// The arguments of the agent's container.
pub(crate) fn arguments(daemonset: &Value) -> Vec<String> {
    let arguments = &daemonset["spec"]["template"]["spec"]["containers"][0]["args"];
    arguments.as_array().unwrap().iter().map(|argument| argument.as_str().unwrap().to_owned()).collect()
}

/// What a command prints, if it succeeds; else what it says on stderr.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8(bytes).expect("programs print UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
