//! What GitHub is told to do can be done: workflows are held against their schema, and their scripts are looked through.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{built, deploy};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn actionlint() -> PathBuf {
    built("actionlint", "ACTIONLINT", "github.com/rhysd/actionlint", include_str!("../../actionlint/go.mod"))
}

fn workflows() -> Vec<PathBuf> {
    let own = std::fs::read_dir(repository(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    own.chain([deploy("verify/github-actions.yaml")]).collect()
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let workflows = workflows();
    assert!(workflows.len() >= 3, "{workflows:?}");
    let output = Command::new(actionlint()).arg("-no-color").args(workflows).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn actionlint_finds_what_is_wrong_in_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yml");
    let wrong = "on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n    steps:\n    - run: rm $UNQUOTED\n";
    std::fs::write(&file, wrong).unwrap();
    let output = Command::new(actionlint()).arg(&file).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("SC2086"), "shellcheck is not called: {output:?}");
}

#[test]
fn the_workflow_runs_the_test_command() {
    let text = std::fs::read_to_string(repository(".github/workflows/ci.yml")).unwrap();
    assert!(text.contains("run: .ci/run\n"));
    assert!(repository(".ci/run").exists());
}
