//! A node to try `palisade` on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use palisade_integration::agent::binary;
use palisade_integration::netns::Namespace;
use palisade_nft::{Backend, Kernel, Name, Ownership};
use serde_json::Value;
use tempfile::TempDir;

/// A network namespace, a directory of manifests, and the programs that run there.
pub(crate) struct Node {
    namespace: Namespace,
    directory: TempDir,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Node {
    /// A fresh one, whose manifests are `cluster.yaml`.
    pub(crate) fn new(manifests: &str) -> Self {
        Self::at(Namespace::new().unwrap(), manifests)
    }

    /// One at a given namespace.
    pub(crate) fn at(namespace: Namespace, manifests: &str) -> Self {
        let node = Self { namespace, directory: TempDir::new().unwrap() };
        fs::create_dir(node.manifests()).unwrap();
        node.write("cluster.yaml", manifests);
        node
    }

    /// One that has committed its manifests once, with no agent running.
    pub(crate) fn enforcing(manifests: &str) -> Self {
        let node = Self::new(manifests);
        node.once().succeeds();
        node
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.path("manifests")
    }

    /// A path beside the manifests.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes or replaces a manifest file, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.manifests().join(name)).unwrap();
    }

    /// `palisade COMMAND --manifests … --node-name node-a`.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut palisade = self.program();
        palisade.args([command, "--node-name", "node-a", "--manifests"]).arg(self.manifests());
        palisade
    }

    /// Runs [`Node::command`] to its end.
    pub(crate) fn palisade(&self, command: &str) -> Finished {
        self.finish(&mut self.command(command))
    }

    /// Runs `palisade` to its end, without manifests.
    pub(crate) fn plain(&self, arguments: &[&str]) -> Finished {
        self.finish(self.program().args(arguments))
    }

    /// `palisade`, with its status socket beside the manifests.
    pub(crate) fn program(&self) -> Command {
        let mut palisade = Command::new(binary().unwrap());
        palisade.env("PALISADE_STATUS_SOCKET", self.path("status.sock"));
        palisade
    }

    pub(crate) fn once(&self) -> Finished {
        self.finish(self.command("run").arg("--once"))
    }

    /// `palisade status` as JSON.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.plain(&["status", "-o", "json"]).succeeds()).unwrap()
    }

    pub(crate) fn finish(&self, command: &mut Command) -> Finished {
        self.namespace.enter(|| command.output()).unwrap().unwrap().into()
    }

    /// Runs nft; gives what it printed.
    pub(crate) fn nft(&self, arguments: &[&str]) -> String {
        self.finish(Command::new("nft").args(arguments)).succeeds()
    }

    /// Loads `script` as another hand would.
    pub(crate) fn load(&self, script: &str) {
        self.namespace.nft(script).unwrap();
    }

    /// All that the kernel holds, without counts, without the epoch, and without what is said of owners: `flags owner`, or
    /// `flags ` where nft does not know the flag of a table that outlives its owner.
    pub(crate) fn listing(&self) -> String {
        let listing = self.nft(&["--stateless", "list", "ruleset"]);
        let about_owners = ["", "\tflags ", "\tflags owner", "\tflags persist", "\tflags owner,persist"];
        let lines = listing.lines().filter(|line| !about_owners.contains(line) && !is_about_epochs(line));
        lines.map(|line| line.split(" # progname").next().unwrap().to_owned() + "\n").collect()
    }

    /// All that the kernel holds but the epoch, with the numbers by which it knows each thing: what is made anew gets
    /// another one.
    pub(crate) fn handles(&self) -> Vec<String> {
        let listing = self.nft(&["--stateless", "--handle", "list", "table", "inet", "palisade"]);
        let lines = listing.lines().filter(|line| line.contains(" # handle ") && !is_about_epochs(line));
        lines.map(|line| line.split(" progname").next().unwrap().to_owned()).collect()
    }

    /// The generation of the ruleset: every transaction of anybody's moves it.
    pub(crate) fn generation(&self) -> u32 {
        let generation = || Kernel::open(table(), Ownership::Plain).unwrap().generation().unwrap();
        self.namespace.enter(generation).unwrap()
    }
}

impl Finished {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// What it said on stderr, if it failed with `code` and printed nothing.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!((self.code, &*self.out), (Some(code), ""), "{self:?}");
        self.err
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        Self { code: status.code(), out, err }
    }
}

/// Whether the kernel holds an epoch, and which one, depends on the time that has passed.
fn is_about_epochs(line: &str) -> bool {
    let rule = line.trim_start();
    line.contains("ct mark ") || line.contains("before the first epoch") || rule.starts_with("accept # handle")
}

/// The name of our table.
pub(crate) fn table() -> Name {
    Name::new("palisade").unwrap()
}

/// Asserts that a message says all of `words`.
#[track_caller]
pub(crate) fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in:\n{message}");
    }
}

/// The lines that nft lists, by object, sorted: it lists them in the order of making.
pub(crate) fn blocks(listing: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in listing.lines().filter(|line| !line.is_empty() && *line != "}") {
        if ["\tcounter ", "\tset ", "\tmap ", "\tchain "].iter().any(|start| line.starts_with(start)) {
            blocks.push(String::new());
        }
        *blocks.last_mut().unwrap() += &format!("{line}\n");
    }
    blocks.sort();
    blocks
}
