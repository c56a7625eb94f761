//! Looking at a node, again and again, and saying what has changed.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Links, Seen, Sysctl, Unmet, set, unmet};
use crate::links::LinksError;

/// Looks at the parameters that a node needs; sets them if it is told to; logs what is not, or no longer, as it should be.
#[derive(Debug)]
pub struct Check {
    proc_sys: PathBuf,
    sets: bool,
    known: Vec<Unmet>,
}

impl Check {
    /// One that has not looked yet. `proc_sys`: where `/proc/sys` is. `sets`: whether it sets what is needed.
    pub fn new(proc_sys: &Path, sets: bool) -> Self {
        Self { proc_sys: proc_sys.to_owned(), sets, known: Vec::new() }
    }

    /// Looks; gives what is not as it should be, also after what could be set was set.
    pub fn run(&mut self) -> &[Unmet] {
        match self.look() {
            Ok(unmet) => {
                unmet.iter().filter(|one| !self.known.contains(one)).for_each(log);
                let is_met = |one: &&Unmet| !unmet.iter().any(|other| other.sysctl == one.sysctl);
                self.known.iter().filter(is_met).for_each(|one| {
                    tracing::info!(sysctl = one.sysctl.name(), "as it should be now");
                });
                self.known = unmet;
            }
            Err(error) => tracing::warn!(%error, "not known whether the kernel's parameters are as they should be"),
        }
        &self.known
    }

    fn look(&self) -> Result<Vec<Unmet>, LinksError> {
        let found = look(&self.proc_sys)?;
        if !self.sets || found.is_empty() {
            return Ok(found);
        }
        for one in &found {
            match set(one.sysctl, &self.proc_sys) {
                Ok(()) => tracing::info!(sysctl = one.sysctl.name(), "set to 1"),
                Err(error) if self.known.contains(one) => tracing::debug!(%error, "not set"),
                Err(error) => tracing::error!(%error, "not set"),
            }
        }
        look(&self.proc_sys)
    }
}

/// What the node of the calling thread needs and does not have.
///
/// # Errors
/// Where its links and routes cannot be read.
pub fn look(proc_sys: &Path) -> Result<Vec<Unmet>, LinksError> {
    let value = |sysctl: Sysctl| {
        let text = fs::read_to_string(sysctl.path(proc_sys)).ok()?;
        Some((sysctl, text.trim() != "0"))
    };
    Ok(unmet(&Seen { sysctls: Sysctl::ALL.into_iter().filter_map(value).collect(), links: Links::read()? }))
}

fn log(unmet: &Unmet) {
    let sysctl = unmet.sysctl.name();
    if unmet.opens() {
        tracing::error!(sysctl, bridges = ?unmet.bridges, "{unmet}");
    } else {
        tracing::warn!(sysctl, "{unmet}");
    }
}
