//! What a shell, or kubectl, may put where the cursor is: commands and options as clap knows them, and names of what there is,
//! from the manifests or the cluster that the line names.
//!
//! Invariant: it never fails. Where names are not to be had in time there are none.

mod kubectl;
mod line;
mod names;

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;

pub use self::kubectl::of_kubectl;
use self::line::Line;
use self::names::Names;

/// What begins with what is written so far.
type Candidates = Vec<CompletionCandidate>;

/// Namespaces.
pub(crate) fn namespaces(current: &OsStr) -> Candidates {
    candidates(current, |_| Names::of_line().namespaces())
}

/// Pods, `NS/POD`: first the namespaces.
pub(crate) fn pods(current: &OsStr) -> Candidates {
    candidates(current, |text| within(text, Names::pods))
}

/// Workloads, as pods.
pub(crate) fn workloads(current: &OsStr) -> Candidates {
    candidates(current, |text| within(text, Names::workloads))
}

/// Pods and workloads, and namespaces alone.
pub(crate) fn peers(current: &OsStr) -> Candidates {
    candidates(current, |text| {
        let names = within(text, |names, namespace| {
            let both = names.pods(namespace).into_iter().chain(names.workloads(namespace));
            both.collect()
        });
        let alone: Vec<String> = names.iter().filter_map(|name| name.strip_suffix('/')).map(str::to_owned).collect();
        names.into_iter().chain(alone).collect()
    })
}

/// Pods and Services: `NS/POD`, `svc/NS/NAME`.
pub(crate) fn destinations(current: &OsStr) -> Candidates {
    candidates(current, |text| match text.strip_prefix("svc/") {
        Some(rest) => within(rest, Names::services).into_iter().map(|name| format!("svc/{name}")).collect(),
        None => within(text, Names::pods).into_iter().chain(["svc/".to_owned()]).collect(),
    })
}

/// Contexts of the kubeconfig.
pub(crate) fn contexts(current: &OsStr) -> Candidates {
    candidates(current, |_| names::contexts(&Line::of_process()))
}

/// `NS/NAME`; where the line names a namespace, names of that one as well.
fn within(text: &str, of: impl Fn(&Names, &str) -> Vec<String>) -> Vec<String> {
    let names = Names::of_line();
    if let Some((namespace, _)) = text.split_once('/') {
        return of(&names, namespace).into_iter().map(|name| format!("{namespace}/{name}")).collect();
    }
    let here = names.namespace().map(|namespace| of(&names, namespace)).unwrap_or_default();
    here.into_iter().chain(names.namespaces().into_iter().map(|name| format!("{name}/"))).collect()
}

fn candidates(current: &OsStr, all: impl FnOnce(&str) -> Vec<String>) -> Candidates {
    let Some(text) = current.to_str() else { return Vec::new() };
    let mut all = all(text);
    all.retain(|one| one.starts_with(text));
    all.sort();
    all.dedup();
    all.into_iter().map(CompletionCandidate::new).collect()
}
