//! Entering the plugin into the configuration that the container runtime uses, and keeping it there.
//!
//! The runtime uses the first file of its directory, by name. Others write there, too: a network's own agent writes its file
//! anew when it starts, and the plugin is entered again.
//!
//! Invariants:
//! - A file that is not understood, or is another's where one of ours would have to be, stays as it is, and is named.
//! - A file is replaced in one step, and only where it is still as it was read.
//! - The plugin is entered only where its program is there, and taken out before the program goes.
//! - An original that had to make way is kept beside it, with `.palisade` at its end, and put back by [`remove`].

mod follow;
mod list;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use palisade_cni::{OnFailure, PLUGIN};
use serde::Serialize;
use thiserror::Error;

pub use follow::follow;

/// What an original that made way ends in.
const KEPT: &str = "palisade";
/// What is written before it takes its place: no runtime reads it.
const NEW: &str = ".palisade.new";

/// The plugin's entry in a configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The agent's socket.
    pub socket: PathBuf,
    /// The agent's directory of sandboxes.
    pub sandboxes: PathBuf,
    /// How many seconds ADD may wait.
    pub wait: f64,
    /// What becomes of a pod that the agent does not answer for.
    pub on_failure: OnFailure,
}

/// What is to be where.
#[derive(Clone, Debug)]
pub struct Installer {
    /// The directory of configurations.
    pub configurations: PathBuf,
    /// The directory of plugins.
    pub programs: PathBuf,
    /// The program to put there.
    pub program: PathBuf,
    /// How it is entered.
    pub entry: Entry,
}

/// Why the plugin is not entered.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The runtime has no network yet.
    #[error("{} holds no network configuration (.conf, .conflist or .json)", .0.display())]
    NoConfiguration(PathBuf),
    /// It is not touched.
    #[error("{} stays as it is: {why}", path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Installer {
    /// Puts the program where it belongs, and enters it. Gives the file that it is in. Program and copy are compared only where
    /// either is another than when it was `placed`.
    fn install(&self, placed: &mut Option<Placed>) -> Result<PathBuf, InstallError> {
        let first = configurations(&self.configurations)?.into_iter().next();
        let path = first.ok_or_else(|| InstallError::NoConfiguration(self.configurations.clone()))?;
        let path = written_anew(&path).unwrap_or(path);
        let text = read(&path)?;
        let entered = list::enter(&text, is_list(&path), &self.entry).map_err(|why| not_understood(&path, why))?;
        self.place_program(placed)?;
        match entered {
            None => Ok(path),
            Some(new) if is_list(&path) => replace(&path, &text, &new).map(|()| path),
            Some(new) => self.supersede(&path, &text, &new),
        }
    }

    /// Puts a list beside the single configuration, which makes way for it.
    fn supersede(&self, path: &Path, text: &str, new: &str) -> Result<PathBuf, InstallError> {
        let successor = path.with_extension("conflist");
        if successor.exists() && !(kept(path).exists() && list::holds_us(&read(&successor)?)) {
            return Err(not_understood(path, format!("{} is there as well", successor.display())));
        }
        write(&successor, new.as_bytes(), mode(path)?)?;
        if read(path)? != text {
            return Err(not_understood(path, "it was written meanwhile".to_owned()));
        }
        fs::rename(path, kept(path)).map_err(|source| system(path, source))?;
        Ok(successor)
    }

    fn place_program(&self, placed: &mut Option<Placed>) -> Result<(), InstallError> {
        let path = self.programs.join(PLUGIN);
        let now = Placed::of(&self.program, &path).ok();
        if now.is_some() && now == *placed {
            return Ok(());
        }
        let bytes = fs::read(&self.program).map_err(|source| system(&self.program, source))?;
        let is_there = fs::read(&path).is_ok_and(|there| there == bytes) && mode(&path)? & 0o111 == 0o111;
        // Whoever wrote there since is seen the next time.
        *placed = now.filter(|_| is_there);
        if is_there { Ok(()) } else { write(&path, &bytes, 0o755) }
    }
}

/// A program and its copy, as they were found the same: whatever is done to a file changes its time (`st_ctime`).
#[derive(Debug, PartialEq, Eq)]
struct Placed([Stamp; 2]);

/// A file's device, number, and time of its last change.
type Stamp = (u64, u64, i64, i64);

impl Placed {
    fn of(program: &Path, copy: &Path) -> io::Result<Self> {
        let stamp = |path| fs::metadata(path).map(|is| (is.dev(), is.ino(), is.ctime(), is.ctime_nsec()));
        Ok(Self([stamp(program)?, stamp(copy)?]))
    }
}

/// Takes the plugin out of all configurations, and its program away. Gives what it did, a line each.
///
/// # Errors
/// [`InstallError`], where something could not be undone; the rest is.
pub fn remove(configurations: &Path, programs: &Path) -> Result<Vec<String>, InstallError> {
    let mut done = Vec::new();
    let mut failed = None;
    for path in files(configurations)? {
        match undo(&path) {
            Ok(undone) => done.extend(undone),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let program = programs.join(PLUGIN);
    match fs::remove_file(&program) {
        Ok(()) => done.push(format!("removed {}", program.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(system(&program, source)),
    }
    Ok(done)
}

/// What it did to this file, if anything.
fn undo(path: &Path) -> Result<Option<String>, InstallError> {
    if path.extension() == Some(OsStr::new(KEPT)) {
        return restore(path).map(Some);
    }
    if !is_configuration(path) || !is_list(path) || original_of(path).exists() {
        return Ok(None);
    }
    let Ok(text) = read(path) else { return Ok(None) };
    let Some(new) = list::leave(&text) else { return Ok(None) };
    replace(path, &text, &new)?;
    Ok(Some(format!("took {PLUGIN} out of {}", path.display())))
}

/// Puts an original back, unless there is another one by now; what took its place goes.
fn restore(kept: &Path) -> Result<String, InstallError> {
    let original = kept.with_extension("");
    let successor = original.with_extension("conflist");
    let put = if original.exists() { fs::remove_file(kept) } else { fs::rename(kept, &original) };
    put.map_err(|source| system(kept, source))?;
    if read(&successor).is_ok_and(|text| list::holds_us(&text)) {
        fs::remove_file(&successor).map_err(|source| system(&successor, source))?;
    }
    Ok(format!("put {} back", original.display()))
}

/// The original of which a list is the successor, where its owner has written it anew.
fn written_anew(list: &Path) -> Option<PathBuf> {
    let original = original_of(list).with_extension("");
    (kept(&original).exists() && original.exists()).then_some(original)
}

/// Where the original is kept of which a list may be the successor.
fn original_of(list: &Path) -> PathBuf {
    let single = ["conf", "json"].map(|extension| kept(&list.with_extension(extension)));
    let [conf, json] = single;
    if json.exists() { json } else { conf }
}

fn kept(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(KEPT);
    name.into()
}

/// The files that a runtime reads, in its order.
fn configurations(directory: &Path) -> Result<Vec<PathBuf>, InstallError> {
    Ok(files(directory)?.into_iter().filter(|path| is_configuration(path)).collect())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, InstallError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|source| system(directory, source))?;
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(|path| !path.is_dir()).collect();
    files.sort();
    Ok(files)
}

fn is_configuration(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| ["conf", "conflist", "json"].contains(&extension))
}

fn is_list(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("conflist"))
}

fn read(path: &Path) -> Result<String, InstallError> {
    if path.is_symlink() {
        return Err(not_understood(path, "it is a symbolic link".to_owned()));
    }
    fs::read_to_string(path).map_err(|source| system(path, source))
}

/// Replaces a file that still says `before`.
fn replace(path: &Path, before: &str, after: &str) -> Result<(), InstallError> {
    if read(path)? != before {
        return Err(not_understood(path, "it was written meanwhile".to_owned()));
    }
    write(path, after.as_bytes(), mode(path)?)
}

fn mode(path: &Path) -> Result<u32, InstallError> {
    let metadata = fs::metadata(path).map_err(|source| system(path, source))?;
    Ok(metadata.permissions().mode() & 0o777)
}

/// Writes a file in one step.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), InstallError> {
    let new = path.with_file_name(NEW);
    let made = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new);
    let written = made.and_then(|mut file| {
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(|source| system(path, source))
}

fn not_understood(path: &Path, why: String) -> InstallError {
    InstallError::NotUnderstood { path: path.to_owned(), why }
}

fn system(path: &Path, source: io::Error) -> InstallError {
    InstallError::System { path: path.to_owned(), source }
}
