//! What a container runtime makes of the image and the DaemonSet, without one.

use std::fs;
use std::os::unix::fs::chroot;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use palisade_integration::agent::binary;
use palisade_integration::netns::Namespace;
use tempfile::TempDir;

use super::agent::manifests;
use super::seccomp::Profile;
use super::{deploy, output};

/// The files of the image, a directory of manifests in `/manifests`, and what is mounted beside `/run/palisade`.
pub(crate) struct Container {
    root: TempDir,
    volumes: Vec<(PathBuf, &'static str)>,
}

impl Container {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut script = Command::new(deploy("image-tree.sh"));
        output(script.arg(binary().unwrap()).arg(plugin()).arg(root.path())).unwrap();
        fs::create_dir(root.path().join("manifests")).unwrap();
        manifests(&root.path().join("manifests"));
        Self { root, volumes: Vec::new() }
    }

    /// Mounts a directory, read-only, at `target` (a path without the first slash).
    pub(crate) fn with_volume(mut self, directory: &Path, target: &'static str) -> Self {
        fs::create_dir_all(self.root.path().join(target)).unwrap();
        self.volumes.push((directory.to_owned(), target));
        self
    }

    /// Where the manifests are, seen from outside.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.root.path().join("manifests")
    }

    /// Does `work` on a thread in `namespace` that sees the container's root, read-only but for `/run/palisade`, with no
    /// capability to give to a program but CAP_NET_ADMIN.
    pub(crate) fn enter<T: Send>(&self, namespace: &Namespace, work: impl FnOnce() -> T + Send) -> T {
        let contained = || {
            self.contain();
            work()
        };
        namespace.enter(contained).unwrap()
    }

    fn contain(&self) {
        let root = self.root.path();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount_read_only(root, root);
        for (directory, target) in &self.volumes {
            mount_read_only(directory, &root.join(target));
        }
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
}

fn mount_read_only(directory: &Path, target: &Path) {
    let none = None::<&str>;
    mount(Some(directory), target, none, MsFlags::MS_BIND, none).unwrap();
    let read_only =
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, target, none, read_only, none).unwrap();
}

/// A program of the root that the calling thread sees. It inherits its input: there is no `/dev/null`.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::inherit());
    command
}

/// The CNI plugin as the image holds it: built once, for whoever asks first.
pub(crate) fn plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| output(&mut Command::new(deploy("build-plugin.sh"))).unwrap().trim().into())
}

/// Runs a program of the root that the calling thread sees.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Profile::runtime_default().confine(|| command(program, arguments).output().unwrap())
}

/// A process that ends with its test, also when that fails.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command, profile: &Profile) -> Self {
        Self(profile.confine(|| command.spawn().unwrap()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
