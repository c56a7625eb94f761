//! kubectl asks a program called `kubectl_complete-palisade` what may come next, and reads the answer as cobra writes it: a
//! candidate a line, with a tab and a description where there is one, and at last what the shell is to do with them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::engine::complete;

use crate::cli::Cli;

/// How the program is called then: a link to it.
const NAME: &str = "kubectl_complete-palisade";
/// Files are no candidates.
const NO_FILES: u8 = 4;
/// No space behind: there is more to come.
const NO_SPACE: u8 = 2;

/// The answer, where kubectl asks. `words` are those of the process: its name, and the line behind `kubectl palisade`, of which
/// the last is the one to complete.
pub fn of_kubectl(words: impl IntoIterator<Item = OsString>) -> Option<String> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    if words.first().and_then(|name| Path::new(name).file_name()) != Some(OsStr::new(NAME)) {
        return None;
    }
    if words.len() == 1 {
        words.push(OsString::new());
    }
    let index = words.len() - 1;
    let directory = std::env::current_dir().ok();
    let candidates = complete(&mut Cli::command(), words, index, directory.as_deref()).unwrap_or_default();
    let shown: Vec<_> = candidates.iter().filter(|candidate| !candidate.is_hide_set()).collect();
    let mut answer = String::new();
    for candidate in &shown {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().next().unwrap_or_default().to_owned();
        answer += &if help.is_empty() { format!("{value}\n") } else { format!("{value}\t{help}\n") };
    }
    let goes_on = !shown.is_empty()
        && shown.iter().all(|candidate| candidate.get_value().to_string_lossy().ends_with(['/', '=']));
    let directive = if goes_on { NO_FILES | NO_SPACE } else { NO_FILES };
    Some(format!("{answer}:{directive}\n"))
}
