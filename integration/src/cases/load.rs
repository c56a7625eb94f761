use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Case;

/// Names a directory of cases to play instead of the built-in ones.
const DIRECTORY_VARIABLE: &str = "PALISADE_CASES";

/// Why cases cannot be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A file or the directory cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file is no case.
    #[error("{}: {source}", path.display())]
    Json {
        /// Which one.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The directory holds none.
    #[error("{}: no *.json there", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
}

/// The cases of `PALISADE_CASES`, or those of this crate's own `cases/`.
pub fn built_in() -> Result<Vec<Case>, LoadError> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    load(&std::env::var_os(DIRECTORY_VARIABLE).map_or(own, PathBuf::from))
}

/// The cases of a directory, one `.json` file each, in the order of their files' names.
pub fn load(directory: &Path) -> Result<Vec<Case>, LoadError> {
    let failed = |source| LoadError::Io { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    if paths.is_empty() {
        return Err(LoadError::Empty { path: directory.to_owned() });
    }
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Case, LoadError> {
    let text = fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| LoadError::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_case_is_named() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load(directory.path()), Err(LoadError::Empty { .. })));
        fs::write(directory.path().join("bad.json"), "{}").unwrap();
        let error = load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("bad.json: missing field `name`"), "{error}");
        assert!(matches!(load(&directory.path().join("nothing")), Err(LoadError::Io { .. })));
    }

    #[test]
    fn the_built_in_cases_are_all_there() {
        let cases = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")).unwrap();
        let flows: usize = cases.iter().flat_map(|case| &case.steps).map(|step| step.expect.len()).sum();
        assert_eq!((cases.len(), flows), (431, 61_555));
    }
}
