//! The manifest files of a directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::error::{ReadError, ReadErrors};

/// How often a directory is read again because a file vanished between listing and reading.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// The manifest files below a directory, in the order of their paths.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<PathBuf>,
    /// What could not be listed.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
    /// The real paths that were seen, each once: symbolic links may form circles, or lead to one file twice.
    seen: BTreeSet<PathBuf>,
}

/// Reads every manifest file below `dir` into a `T`, one text after the other; and what could not be read. Where a file
/// vanishes meanwhile, all of them are read anew into another one.
///
/// # Errors
/// `dir` itself is missing, no directory, unreadable, or has no manifest file in it.
pub(super) fn load<T>(
    dir: &Path,
    new: impl Fn() -> T,
    take: impl Fn(&mut T, &Path, &str),
) -> Result<(T, Vec<ReadError>), ReadErrors> {
    let mut into = new();
    let mut failed = try_load(dir, |file, text| take(&mut into, file, text))?;
    for _ in 1..ATTEMPTS {
        if !failed.iter().any(|(_, error)| error.kind() == io::ErrorKind::NotFound) {
            break;
        }
        thread::sleep(PAUSE);
        into = new();
        failed = try_load(dir, |file, text| take(&mut into, file, text))?;
    }
    Ok((into, failed.iter().map(|(file, error)| ReadError::file(file, explain(error))).collect()))
}

/// The text of one file, whatever its name.
///
/// # Errors
/// It cannot be read.
pub(super) fn load_file(file: &Path) -> Result<String, ReadErrors> {
    Ok(fs::read_to_string(file).map_err(|error| ReadError::file(file, explain(&error)))?)
}

/// Lists `dir`: symbolic links are followed, hidden entries (as in a mounted ConfigMap: `..data`) are not.
///
/// # Errors
/// Those of reading `dir` itself.
pub(super) fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    listing.seen.insert(fs::canonicalize(dir)?);
    listing.directory(dir)?;
    Ok(listing)
}

fn try_load(dir: &Path, mut take: impl FnMut(&Path, &str)) -> Result<Vec<(PathBuf, io::Error)>, ReadErrors> {
    let hint = "give the directory that holds the manifests";
    let listing = list(dir).map_err(|error| ReadError::file(dir, format!("cannot be read: {error}: {hint}")))?;
    if listing.files.is_empty() && listing.unreadable.is_empty() {
        return Err(ReadError::file(dir, "holds no manifest: files end in .yaml, .yml or .json").into());
    }
    let mut failed = listing.unreadable;
    for file in listing.files {
        match fs::read_to_string(&file) {
            Ok(text) => take(&file, &text),
            Err(error) => failed.push((file, error)),
        }
    }
    Ok(failed)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => "is not UTF-8 text: save it as UTF-8".to_owned(),
        _ => format!("cannot be read: {error}: make it readable, or remove it"),
    }
}

impl Listing {
    fn directory(&mut self, dir: &Path) -> io::Result<()> {
        let entries: io::Result<Vec<PathBuf>> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
        let mut entries = entries?;
        entries.sort();
        for path in entries.into_iter().filter(|path| !is_hidden(path)) {
            if let Err(error) = self.entry(&path) {
                self.unreadable.push((path, error));
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path) -> io::Result<()> {
        let metadata = match fs::metadata(path) {
            Err(_) if !is_manifest(path) => return Ok(()),
            metadata => metadata?,
        };
        if !metadata.is_dir() && !is_manifest(path) || !self.seen.insert(fs::canonicalize(path)?) {
            return Ok(());
        }
        if metadata.is_dir() {
            self.directory(path)
        } else if metadata.is_file() {
            self.files.push(path.into());
            Ok(())
        } else {
            Err(io::Error::other("it is no regular file"))
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
}
