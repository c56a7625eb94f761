use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;

use super::{Namespace, NetnsError};

/// A long-running process inside a namespace. It is killed when this value is dropped, and also when this whole process
/// is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    _parent: mpsc::Sender<()>,
}

impl Daemon {
    /// Starts `program`, configured by `configure`, inside `namespace`.
    ///
    /// The kernel signals a child when the thread that started it ends, so a thread of its own waits for as long as the
    /// daemon is held.
    pub fn start(
        namespace: &Namespace,
        program: &std::path::Path,
        configure: impl FnOnce(&mut Command) + Send,
    ) -> Result<Self, NetnsError> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        configure(&mut command);
        let (started, child) = mpsc::channel();
        let (parent, ended) = mpsc::channel::<()>();
        let file = namespace.try_clone()?;
        thread::spawn(move || {
            let spawned = file.enter_forever().and_then(|()| command.spawn());
            if started.send(spawned).is_ok() {
                let _ = ended.recv();
            }
        });
        let failed = |source| NetnsError::Kernel { action: format!("start {}", program.display()), source };
        let child = child.recv().map_err(io::Error::other).and_then(|spawned| spawned).map_err(failed)?;
        Ok(Self { child, _parent: parent })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn it_runs_inside_and_dies_with_its_handle() {
        let namespace = Namespace::new().unwrap();
        let daemon = Daemon::start(&namespace, Path::new("sleep"), |command| {
            command.arg("60");
        })
        .unwrap();
        let process = Path::new("/proc").join(daemon.id().to_string());
        let link = |path: &Path| std::fs::read_link(path).unwrap();
        assert_eq!(link(&process.join("ns/net")), link(&namespace.path()));
        drop(daemon);
        assert!(!process.exists());
    }

    #[test]
    fn a_missing_program_ends_at_once() {
        let namespace = Namespace::new().unwrap();
        let mut daemon = Daemon::start(&namespace, Path::new("/no/such/program"), |_| ()).unwrap();
        assert!(!daemon.wait().unwrap().success());
    }
}
