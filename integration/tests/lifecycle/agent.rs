//! A running `palisade run`.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use palisade_integration::agent::binary;
use palisade_integration::netns::Daemon;
use palisade_integration::patience;

use crate::node::Node;

const PAUSE: Duration = Duration::from_millis(20);

/// An agent on a [`Node`]; killed when dropped.
pub(crate) struct Agent {
    daemon: Daemon,
    log: PathBuf,
}

impl Agent {
    /// Starts one, and waits until it has taken charge, and has nothing more to do.
    pub(crate) fn start(node: &Node) -> Self {
        let agent = Self::launch(node, "agent.log");
        agent.says("enforcing");
        agent.settles(node);
        agent
    }

    /// Waits until established connections pass without being judged again.
    #[track_caller]
    pub(crate) fn settles(&self, node: &Node) {
        eventually(|| (node.status()["settled"] == true).then_some(()), || format!("not settled:\n{}", self.log()));
    }

    /// Starts one that logs to `log`.
    pub(crate) fn launch(node: &Node, log: &str) -> Self {
        let log = node.path(log);
        let output = File::create(&log).unwrap();
        let daemon = Daemon::start(node.namespace(), &binary().unwrap(), |command| {
            let run = node.command("run");
            command.args(run.get_args()).envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command.stdout(output.try_clone().unwrap()).stderr(output);
        });
        Self { daemon: daemon.unwrap(), log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.daemon.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log says `words`; gives the first such line.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> String {
        let line = || self.log().lines().find(|line| line.contains(words)).map(str::to_owned);
        eventually(line, || format!("the agent does not say `{words}` but:\n{}", self.log()))
    }

    /// Waits until the kernel holds what the manifests say.
    #[track_caller]
    pub(crate) fn catches_up(&self, node: &Node) {
        let difference = || node.palisade("diff").succeeds();
        eventually(
            || difference().is_empty().then_some(()),
            || format!("not done:\n{}\nlog:\n{}", difference(), self.log()),
        );
    }

    /// Sends it `signal`, and waits until it has ended.
    pub(crate) fn ends_by(mut self, signal: Signal) -> ExitStatus {
        kill(Pid::from_raw(self.id().try_into().unwrap()), signal).unwrap();
        let status = eventually(|| self.daemon.ended().unwrap(), || format!("it goes on after {signal}"));
        assert!(status.success() || status.signal() == Some(signal as i32), "{status}");
        status
    }

    /// Stops it as an init system does.
    pub(crate) fn stop(self) {
        assert!(self.ends_by(Signal::SIGTERM).success());
    }
}

/// Waits until `found` finds something.
#[track_caller]
pub(crate) fn eventually<T>(found: impl FnMut() -> Option<T>, otherwise: impl FnOnce() -> String) -> T {
    patience::eventually(PAUSE, found, otherwise)
}
