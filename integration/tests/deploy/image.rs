//! The image, without a container engine: its files, laid out as the Dockerfile does, run as the DaemonSet says.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use caps::{CapSet, Capability};
use nix::libc::SIGSYS;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use palisade::serve::SOCKET_PATH;
use palisade_integration::agent::binary;
use palisade_integration::netns::Namespace;
use palisade_integration::patience::eventually;

use super::agent::{get, open_vault_to};
use super::container::{Container, Running, command, plugin, run};
use super::seccomp::Profile;
use super::{deploy, output};

const SOURCE: [&str; 4] = ["--manifests", "/manifests", "--node-name", "node"];
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What the image's program prints, in `namespace`.
fn succeed(container: &Container, namespace: &Namespace, program: &str, arguments: &[&str]) -> String {
    let output = container.enter(namespace, || run(program, arguments));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The table that there is.
fn table(namespace: &Namespace) -> String {
    let listing = namespace.run(Command::new("nft").args(["list", "ruleset"]), "").unwrap();
    String::from_utf8(listing.stdout).unwrap()
}

#[test]
fn it_holds_the_program_and_its_libraries_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let mut lay_out = Command::new(deploy("image-tree.sh"));
    output(lay_out.arg(binary().unwrap()).arg(plugin()).arg(root.path())).unwrap();
    let names = files(root.path()).into_iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
    let loader = if cfg!(target_arch = "x86_64") { "ld-linux-x86-64.so.2" } else { "ld-linux-aarch64.so.1" };
    let expected = [
        "kubectl-palisade",
        loader,
        "libc.so.6",
        "libgcc_s.so.1",
        "libm.so.6",
        "libmnl.so.0",
        "libnftnl.so.11",
        "palisade",
        "palisade-cni",
    ];
    assert_eq!(names.collect::<BTreeSet<_>>(), expected.map(str::to_owned).into());
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn it_runs_with_nothing_but_what_the_daemonset_grants() {
    let container = Container::new();
    let namespace = Namespace::new().unwrap();
    let version = format!("palisade {}\n", env!("CARGO_PKG_VERSION"));
    for name in ["/palisade", "/usr/local/bin/palisade", "/usr/local/bin/kubectl-palisade"] {
        assert_eq!(succeed(&container, &namespace, name, &["--version"]), version, "{name}");
    }
    let rendered = succeed(&container, &namespace, "/palisade", &[&["render"], &SOURCE[..]].concat());
    assert!(rendered.contains("shop/web"), "{rendered}");
    succeed(&container, &namespace, "/palisade", &[&["run", "--once"], &SOURCE[..]].concat());
    assert!(table(&namespace).contains("shop/web"));
    succeed(&container, &namespace, "/palisade", &["cleanup"]);
}

#[test]
fn the_agent_serves_and_tells_its_status_there() {
    let container = Container::new();
    let namespace = Namespace::new().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 9468));
    let outside = namespace.try_clone().unwrap();
    container.enter(&namespace, || {
        let served = ["--metrics-address", &address.to_string(), "--status-socket", SOCKET_PATH];
        let mut agent = command("/palisade", &[&["run"], &SOURCE[..], &served].concat());
        let agent = Running::start(&mut agent, &Profile::runtime_default());
        let ready = get(&outside, address, "/readyz", 200);
        let status = run("/palisade", &["status", "-o", "json"]);
        drop(agent);
        let cleanup = run("/palisade", &["cleanup"]);
        assert_eq!(ready.0, 200, "{}", ready.1);
        for output in [status, cleanup] {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
}

/// As in `cleanup.yaml`: who has no rights at all, and is nobody.
#[test]
fn it_waits_until_it_is_told_to_end() {
    let container = Container::new();
    let mut waiting = container.enter(&Namespace::new().unwrap(), || {
        let mut wait = command("/palisade", &["wait"]);
        wait.uid(65_535).gid(65_535);
        Running::start(&mut wait, &Profile::runtime_default())
    });
    const TERMINATE: u64 = 1 << 14;
    let caught = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap()
    };
    let id = waiting.0.id();
    eventually(POLL_INTERVAL, || (caught(id) & TERMINATE > 0).then_some(()), || "it does not listen".to_owned());
    assert!(waiting.0.try_wait().unwrap().is_none());
    kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(waiting.0.wait().unwrap().success());
}

/// An agent under a profile, whose policies are edited.
struct Edited {
    agent: Running,
    container: Container,
    namespace: Namespace,
}

impl Edited {
    /// Until the block that the vault lets in has come into the table, and gone; or until the agent ends.
    fn under(profile: &Profile) -> Self {
        let (container, namespace) = (Container::new(), Namespace::new().unwrap());
        let mut agent = command("/palisade", &[&["run"], &SOURCE[..]].concat());
        let agent = container.enter(&namespace, || Running::start(&mut agent, profile));
        let mut edited = Self { agent, container, namespace };
        for (block, other) in [("10.9.0.0/16", "10.8.0.0/16"), ("10.8.0.0/16", "10.9.0.0/16")] {
            open_vault_to(&edited.container.manifests(), block);
            edited.wait_for(|table| table.contains(block) && !table.contains(other));
        }
        edited
    }

    fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) {
        let done = || (wanted(&table(&self.namespace)) || self.status().is_some()).then_some(());
        eventually(POLL_INTERVAL, done, || "the table does not follow the manifests".to_owned());
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.agent.0.try_wait().unwrap()
    }
}

#[test]
fn the_agent_calls_nothing_that_the_runtimes_profile_denies() {
    assert_eq!(Edited::under(&Profile::runtime_default()).status(), None);
}

/// Those that it rests on and that profiles may lack: for filters on its sockets, and a barrier for packets in flight.
#[test]
fn what_a_profile_denies_is_noticed() {
    for name in ["setsockopt", "membarrier"] {
        let status = Edited::under(&Profile::runtime_default().without(name)).status();
        assert_eq!(status.and_then(|status| status.signal()), Some(SIGSYS), "{name}");
    }
}

#[test]
fn without_the_capability_it_says_so() {
    let container = Container::new();
    let namespace = Namespace::new().unwrap();
    let output = container.enter(&namespace, || {
        caps::drop(None, CapSet::Bounding, Capability::CAP_NET_ADMIN).unwrap();
        run("/palisade", &[&["run", "--once"], &SOURCE[..]].concat())
    });
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
}
