//! The program, with a directory of manifests.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Manifests, and files beside them.
pub(crate) struct Directory(pub(crate) TempDir);

impl Directory {
    pub(crate) fn of(manifests: &str) -> Self {
        let directory = Self(TempDir::new().unwrap());
        fs::create_dir(directory.manifests()).unwrap();
        fs::write(directory.manifests().join("shop.yaml"), manifests).unwrap();
        directory
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.0.path().join("manifests")
    }

    /// Writes a file beside the manifests, and says where it is.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
        palisade.env_remove("PALISADE_LOG").arg(command).arg("--manifests").arg(self.manifests()).args(arguments);
        palisade.output().unwrap()
    }

    /// What a command prints for programs.
    #[track_caller]
    pub(crate) fn json(&self, command: &str, arguments: &[&str]) -> Value {
        let output = self.run(command, &[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&succeeds(&output)).unwrap()
    }
}

/// What it printed.
#[track_caller]
pub(crate) fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
