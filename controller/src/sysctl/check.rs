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
    guarded: bool,
    known: Vec<Unmet>,
}

impl Check {
    /// One that has not looked yet. `proc_sys`: where `/proc/sys` is. `sets`: whether it sets what is needed. `guarded`:
    /// whether the guard is on.
    pub fn new(proc_sys: &Path, sets: bool, guarded: bool) -> Self {
        Self { proc_sys: proc_sys.to_owned(), sets, guarded, known: Vec::new() }
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
        let found = look(&self.proc_sys, self.guarded)?;
        let mut settable = found.iter().filter(|one| self.sets && one.sysctl.may_be_set()).peekable();
        if settable.peek().is_none() {
            return Ok(found);
        }
        for one in settable {
            match set(one.sysctl, &self.proc_sys) {
                Ok(()) => tracing::info!(sysctl = one.sysctl.name(), "set to 1"),
                Err(error) if self.known.contains(one) => tracing::debug!(%error, "not set"),
                Err(error) => tracing::error!(%error, "not set"),
            }
        }
        look(&self.proc_sys, self.guarded)
    }
}

/// What the node of the calling thread needs and does not have, with a guard or without.
///
/// # Errors
/// Where its links and routes cannot be read.
pub fn look(proc_sys: &Path, guarded: bool) -> Result<Vec<Unmet>, LinksError> {
    let links = Links::read()?;
    let value = |sysctl: Sysctl| {
        let is_on = match sysctl {
            Sysctl::SourceIpv4 => strict(proc_sys, &links)?,
            _ => number(&sysctl.path(proc_sys))? != 0,
        };
        Some((sysctl, is_on))
    };
    let sysctls = Sysctl::ALL.into_iter().filter_map(value).collect();
    Ok(unmet(&Seen { sysctls, links, guarded }))
}

/// Whether each link that IPv4 routes lead to pods over checks where packets come from. Of its own value and the one for
/// all the greater counts. A link that has gone meanwhile does not count.
pub(super) fn strict(proc_sys: &Path, links: &Links) -> Option<bool> {
    let value = |link: &str| number(&proc_sys.join("net/ipv4/conf").join(link).join("rp_filter"));
    let all = value("all")?;
    Some(links.routes_ipv4.iter().filter_map(|link| value(link)).all(|own| own.max(all) == 1))
}

fn number(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn log(unmet: &Unmet) {
    let sysctl = unmet.sysctl.name();
    if unmet.opens() {
        tracing::error!(sysctl, bridges = ?unmet.bridges, "{unmet}");
    } else {
        tracing::warn!(sysctl, "{unmet}");
    }
}
