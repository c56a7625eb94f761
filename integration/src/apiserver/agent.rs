use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ApiError, Kubeconfig};
use crate::netns::{Daemon, Node};

/// A running `palisade run` that watches a Kubernetes API. It is killed when dropped; what it enforced stays.
#[derive(Debug)]
pub struct ClusterAgent {
    daemon: Daemon,
    log: PathBuf,
}

/// What an agent has used since it started.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Time on a processor, of the threads that it has now.
    pub cpu: Duration,
    /// Memory now, in KiB.
    pub resident: u64,
    /// Memory at its most, in KiB.
    pub peak: u64,
}

impl ClusterAgent {
    /// Starts `program` on `node`; its log is beside the kubeconfig.
    pub fn start(program: &Path, node: &Node, kubeconfig: &Kubeconfig) -> Result<Self, ApiError> {
        Self::start_with(program, node, kubeconfig, &[])
    }

    /// [`ClusterAgent::start`] with more `arguments`.
    pub fn start_with(
        program: &Path,
        node: &Node,
        kubeconfig: &Kubeconfig,
        arguments: &[&str],
    ) -> Result<Self, ApiError> {
        let beside = |what| kubeconfig.path().with_file_name(format!("{}.{what}", node.name()));
        let (log, socket) = (beside("log"), beside("sock"));
        let output = File::create(&log).map_err(ApiError::io(format!("create {}", log.display())))?;
        let errors = output.try_clone().map_err(ApiError::io("share a log file"))?;
        let daemon = Daemon::start(node.namespace(), program, |command| {
            command.args(["run", "--node-name", node.name(), "--kubeconfig"]).arg(kubeconfig.path());
            command.arg("--status-socket").arg(socket).args(arguments);
            command.stdout(output).stderr(errors);
        })?;
        Ok(Self { daemon, log })
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it enforces all that the API knew at its start.
    pub fn is_enforcing(&self) -> bool {
        self.log().contains(" enforcing adopted=")
    }

    /// An error if it is no longer running.
    pub fn check(&mut self) -> Result<(), ApiError> {
        match self.daemon.ended() {
            Ok(None) => Ok(()),
            ended => {
                let reason = ended.map_or_else(|error| error.to_string(), |status| format!("it ended with {status:?}"));
                Err(ApiError::NotReady { program: "palisade", reason, log: self.last_words() })
            }
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        super::server::last_lines(&self.log)
    }

    /// What it has used.
    pub fn usage(&self) -> Result<Usage, ApiError> {
        let id = self.daemon.id();
        Usage::of(id).map_err(ApiError::io(format!("read the usage of process {id}")))
    }
}

impl Usage {
    /// What the process with this id has used.
    ///
    /// # Errors
    /// Where there is no such process.
    pub fn of(process: u32) -> io::Result<Self> {
        let directory = PathBuf::from(format!("/proc/{process}"));
        let status = fs::read_to_string(directory.join("status"))?;
        let field = |name| kibibytes(&status, name).ok_or(io::Error::from(io::ErrorKind::InvalidData));
        let cpu = fs::read_dir(directory.join("task"))?
            .map(|task| Ok(cpu(&fs::read_to_string(task?.path().join("schedstat"))?)))
            .sum::<io::Result<_>>()?;
        Ok(Self { cpu, resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

/// The first field of a thread's `schedstat`: its time on a processor, in nanoseconds.
fn cpu(schedstat: &str) -> Duration {
    let nanoseconds = schedstat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_proc() {
        assert_eq!(cpu("1750000 3 99\n"), Duration::from_micros(1_750));
        assert_eq!(kibibytes("Name: a\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n", "VmRSS:"), Some(200));
    }
}
