use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{self, Command, Output, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use thiserror::Error;

/// What can go wrong with a namespace.
#[derive(Debug, Error)]
pub enum NetnsError {
    /// The kernel refused to make or enter a namespace, or to change a setting in it.
    #[error("{action}: {source}{}", hint(source))]
    Kernel {
        /// What was tried.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Bridges cannot hand packets to netfilter.
    #[error("pods on a bridge need the kernel's br_netfilter, which is not there: `modprobe br_netfilter`")]
    NoBridgeNetfilter,
    /// A program that configures the namespace failed.
    #[error("`{command}` failed: {stderr}\nits input was:\n{input}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// What it read.
        input: String,
        /// What it said.
        stderr: String,
    },
}

/// An anonymous network namespace: it lives as long as this value, a process or a socket in it.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// A new, empty one, with only a loopback interface (up).
    pub fn new() -> Result<Self, NetnsError> {
        let file = on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        })
        .map_err(kernel("make a network namespace"))?;
        let namespace = Self { file };
        // All links of a node have one address on their own, so that a redirect from any of them would be believed on each.
        namespace.sysctl(&[
            ("net.ipv6.conf.all.disable_ipv6", "0"),
            ("net.ipv6.conf.default.disable_ipv6", "0"),
            ("net.ipv6.conf.default.accept_dad", "0"),
            ("net.ipv6.conf.default.accept_redirects", "0"),
            ("net.ipv6.conf.default.router_solicitations", "0"),
        ])?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// Does `work` on a thread inside this namespace: the sockets that it opens and the processes that it starts belong
    /// to the namespace for good.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        on_own_thread(|| {
            self.enter_forever()?;
            Ok(work())
        })
        .map_err(kernel("enter a network namespace"))
    }

    /// Sets the named kernel parameters, such as `net.ipv4.ip_forward`.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), NetnsError> {
        self.enter(|| {
            for (name, value) in settings {
                let path = format!("/proc/sys/{}", name.replace('.', "/"));
                fs::write(path, value).map_err(kernel(&format!("set {name} to {value}")))?;
            }
            Ok(())
        })?
    }

    /// Runs `ip -batch` on the given lines.
    pub fn ip(&self, batch: &str) -> Result<(), NetnsError> {
        self.run(Command::new("ip").args(["-batch", "-"]), batch).map(drop)
    }

    /// Loads the given text with `nft -f`.
    pub fn nft(&self, ruleset: &str) -> Result<(), NetnsError> {
        self.run(Command::new("nft").args(["-f", "-"]), ruleset).map(drop)
    }

    /// Runs `command` to its end with `input` on its standard input; a failure exit is an error.
    pub fn run(&self, command: &mut Command, input: &str) -> Result<Output, NetnsError> {
        let shown = format!("{command:?}").replace('"', "");
        let output = self.enter(|| output(command, input))?.map_err(kernel(&format!("run `{shown}`")))?;
        if output.status.success() {
            return Ok(output);
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(NetnsError::Command { command: shown, input: input.to_owned(), stderr })
    }

    /// The same namespace, held by one more descriptor.
    pub fn try_clone(&self) -> Result<Self, NetnsError> {
        self.file.try_clone().map(|file| Self { file }).map_err(kernel("duplicate a namespace's descriptor"))
    }

    /// Moves the calling thread into this namespace. Meant for threads that do nothing else.
    pub(super) fn enter_forever(&self) -> io::Result<()> {
        Ok(setns(&self.file, CloneFlags::CLONE_NEWNET)?)
    }

    /// Where other programs of this user find the namespace while this process lives: `nsenter --net=PATH`,
    /// `ip link … netns PATH`.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd()).into()
    }
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, work)?.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn output(command: &mut Command, input: &str) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

fn kernel(action: &str) -> impl FnOnce(io::Error) -> NetnsError {
    let action = action.to_owned();
    move |source| NetnsError::Kernel { action, source }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; run as root, or inside `unshare --user --map-root-user --net --mount`",
        io::ErrorKind::NotFound => "; integration/setup.sh installs the programs that this needs",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_only_loopback() {
        let devices =
            Namespace::new().unwrap().enter(|| fs::read_to_string("/proc/thread-self/net/dev")).unwrap().unwrap();
        let names: Vec<_> =
            devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
        assert_eq!(names, ["lo"]);
    }

    #[test]
    fn settings_stay_inside() {
        let (one, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        one.sysctl(&[("net.ipv4.ip_forward", "1")]).unwrap();
        let read = |namespace: &Namespace| {
            namespace.enter(|| fs::read_to_string("/proc/sys/net/ipv4/ip_forward")).unwrap().unwrap()
        };
        assert_eq!((read(&one).trim(), read(&other).trim()), ("1", "0"));
    }

    #[test]
    fn a_failing_command_tells_what_it_read_and_said() {
        let error = Namespace::new().unwrap().ip("link set nothing up\n").unwrap_err().to_string();
        assert!(error.contains("ip -batch -") && error.contains("link set nothing up"), "{error}");
        assert!(error.contains("Cannot find device"), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let error = Namespace::new().unwrap().sysctl(&[("net.ipv4.nothing", "1")]).unwrap_err().to_string();
        assert!(error.starts_with("set net.ipv4.nothing to 1"), "{error}");
    }
}
