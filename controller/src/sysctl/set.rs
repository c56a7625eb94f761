//! Setting parameters.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use thiserror::Error;

use super::Sysctl;

/// Why a parameter cannot be set.
#[derive(Debug, Error)]
pub enum SetError {
    /// `/proc/sys` is read-only.
    #[error(
        "{name} cannot be set to 1: /proc/sys is read-only here, as it is in containers. Set it on the node (`sysctl -w \
         {name}=1`, and a file in /etc/sysctl.d to keep it), or install the chart with sysctls.set=true"
    )]
    ReadOnly {
        /// The parameter.
        name: &'static str,
    },
    /// The kernel does not have it.
    #[error(
        "{name} cannot be set to 1: it is not there. Load br_netfilter on the node (`modprobe br_netfilter`, and a file in /etc/modules-load.d to keep it)"
    )]
    NotThere {
        /// The parameter.
        name: &'static str,
    },
    /// Anything else.
    #[error("{name} cannot be set to 1: {source}; that needs CAP_NET_ADMIN: run as root, or set it on the node")]
    System {
        /// The parameter.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Sets a parameter to 1.
///
/// # Errors
/// [`SetError`]: it says what to do.
pub fn set(sysctl: Sysctl, proc_sys: &Path) -> Result<(), SetError> {
    let name = sysctl.name();
    let written = OpenOptions::new().write(true).open(sysctl.path(proc_sys)).and_then(|mut file| file.write_all(b"1"));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => SetError::ReadOnly { name },
        io::ErrorKind::NotFound => SetError::NotThere { name },
        _ => SetError::System { name, source },
    })
}
