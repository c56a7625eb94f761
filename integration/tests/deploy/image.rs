//! The image, without a container engine: its files, laid out as the Dockerfile does, run as the DaemonSet says.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chroot;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use palisade::serve::SOCKET_PATH;
use palisade_integration::agent::binary;
use palisade_integration::netns::Namespace;
use tempfile::TempDir;

use super::agent::{get, manifests};
use super::{deploy, output};

/// The files of the image, and a directory of manifests in `/manifests`.
fn image() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut script = Command::new(deploy("image-tree.sh"));
    output(script.arg(binary().unwrap()).arg(root.path())).unwrap();
    fs::create_dir(root.path().join("manifests")).unwrap();
    manifests(&root.path().join("manifests"));
    root
}

/// Makes the calling thread see `root` as its root, read-only but for `/run/palisade`, with no capability to give to a
/// program but CAP_NET_ADMIN, as the container's runtime does.
fn contain(root: &Path) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some(root), root, none, MsFlags::MS_BIND, none).unwrap();
    let read_only =
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, root, none, read_only, none).unwrap();
    mount(Some("tmpfs"), &root.join("run/palisade"), Some("tmpfs"), MsFlags::empty(), none).unwrap();
    chroot(root).unwrap();
    std::env::set_current_dir("/").unwrap();
    for capability in caps::all().into_iter().filter(|capability| *capability != Capability::CAP_NET_ADMIN) {
        caps::drop(None, CapSet::Bounding, capability).unwrap();
    }
    caps::clear(None, CapSet::Ambient).unwrap();
    caps::clear(None, CapSet::Inheritable).unwrap();
    set_no_new_privs().unwrap();
}

/// Runs a program of the root that the calling thread sees. It inherits its input: there is no `/dev/null`.
fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).env_clear().stdin(Stdio::inherit()).output().unwrap()
}

/// What the image's program prints, in `namespace`.
fn succeed(root: &Path, namespace: &Namespace, program: &str, arguments: &[&str]) -> String {
    let contained = || {
        contain(root);
        run(program, arguments)
    };
    let output = namespace.enter(contained).unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_holds_the_program_and_its_libraries_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    output(Command::new(deploy("image-tree.sh")).arg(binary().unwrap()).arg(root.path())).unwrap();
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
    ];
    assert_eq!(names.collect::<BTreeSet<_>>(), expected.map(str::to_owned).into());
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn it_runs_with_nothing_but_what_the_daemonset_grants() {
    let root = image();
    let namespace = Namespace::new().unwrap();
    let version = format!("palisade {}\n", env!("CARGO_PKG_VERSION"));
    for name in ["/palisade", "/usr/local/bin/palisade", "/usr/local/bin/kubectl-palisade"] {
        assert_eq!(succeed(root.path(), &namespace, name, &["--version"]), version, "{name}");
    }
    let source = ["--manifests", "/manifests", "--node-name", "node"];
    let rendered = succeed(root.path(), &namespace, "/palisade", &[&["render"], &source[..]].concat());
    assert!(rendered.contains("shop/web"), "{rendered}");
    succeed(root.path(), &namespace, "/palisade", &[&["run", "--once"], &source[..]].concat());
    let listing = namespace.run(Command::new("nft").args(["list", "ruleset"]), "").unwrap();
    assert!(String::from_utf8(listing.stdout).unwrap().contains("shop/web"));
    succeed(root.path(), &namespace, "/palisade", &["cleanup"]);
}

/// A process that ends with its test, also when that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_agent_serves_and_tells_its_status_there() {
    let root = image();
    let namespace = Namespace::new().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 9468));
    namespace
        .enter(|| {
            let outside = namespace.try_clone().unwrap();
            contain(root.path());
            let source = ["run", "--manifests", "/manifests", "--node-name", "node"];
            let served = ["--metrics-address", &address.to_string(), "--status-socket", SOCKET_PATH];
            let mut agent = Command::new("/palisade");
            let agent = Running(agent.args(source).args(served).env_clear().spawn().unwrap());
            let ready = get(&outside, address, "/readyz", 200);
            let status = run("/palisade", &["status", "-o", "json"]);
            drop(agent);
            let cleanup = run("/palisade", &["cleanup"]);
            assert_eq!(ready.0, 200, "{}", ready.1);
            for output in [status, cleanup] {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        })
        .unwrap();
}

#[test]
fn without_the_capability_it_says_so() {
    let root = image();
    let namespace = Namespace::new().unwrap();
    let output = namespace
        .enter(|| {
            contain(root.path());
            caps::drop(None, CapSet::Bounding, Capability::CAP_NET_ADMIN).unwrap();
            run("/palisade", &["run", "--once", "--manifests", "/manifests", "--node-name", "node"])
        })
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
}
