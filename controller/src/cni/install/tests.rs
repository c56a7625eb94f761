use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

struct Node {
    files: TempDir,
    installer: Installer,
}

const PROGRAM: &[u8] = b"the plugin of this version";

impl Node {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        for directory in ["net.d", "bin"] {
            fs::create_dir(path(directory)).unwrap();
        }
        fs::write(path("palisade-cni"), PROGRAM).unwrap();
        let entry = Entry {
            socket: "/run/palisade/cni.sock".into(),
            sandboxes: "/run/palisade/sandboxes".into(),
            wait: 10.0,
            on_failure: OnFailure::Refuse,
        };
        let (configurations, programs, program) = (path("net.d"), path("bin"), path("palisade-cni"));
        Self { installer: Installer { configurations, programs, program, entry }, files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join("net.d").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The names of what is in the directory.
    fn names(&self) -> Vec<String> {
        let files = files(&self.installer.configurations).unwrap();
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// The name of the file that the plugin is in.
    fn install(&self) -> Result<String, String> {
        let path = self.installer.install(&mut None).map_err(|error| error.to_string())?;
        Ok(path.file_name().unwrap().to_str().unwrap().to_owned())
    }

    fn remove(&self) -> Vec<String> {
        remove(&self.installer.configurations, &self.installer.programs).unwrap()
    }

    fn program(&self) -> PathBuf {
        self.installer.programs.join(PLUGIN)
    }
}

fn flannel() -> Value {
    json!({
        "name": "cbr0", "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn types(list: &Value) -> Vec<&str> {
    list["plugins"].as_array().unwrap().iter().map(|plugin| plugin["type"].as_str().unwrap()).collect()
}

#[test]
fn it_comes_last_in_the_first_list_and_goes_without_a_trace() {
    let node = Node::new();
    node.write("10-flannel.conflist", &flannel().to_string());
    node.write("20-other.conflist", &flannel().to_string());
    assert_eq!(node.install().unwrap(), "10-flannel.conflist");
    let entered = node.json("10-flannel.conflist");
    assert_eq!(types(&entered), ["flannel", "portmap", PLUGIN]);
    let ours = json!({
        "type": PLUGIN, "socket": "/run/palisade/cni.sock", "sandboxes": "/run/palisade/sandboxes",
        "wait": 10.0, "onFailure": "refuse",
    });
    assert_eq!(entered["plugins"][2], ours);
    assert_eq!(entered["plugins"][0], flannel()["plugins"][0]);
    assert_eq!(fs::read(node.program()).unwrap(), PROGRAM);
    assert_eq!(node.json("20-other.conflist"), flannel());
    assert_eq!(node.remove().len(), 2);
    assert_eq!(node.json("10-flannel.conflist"), flannel());
    assert_eq!(node.names(), ["10-flannel.conflist", "20-other.conflist"]);
    assert!(!node.program().exists());
    assert_eq!(node.remove(), [] as [String; 0]);
}

#[test]
fn what_is_entered_stays_and_what_is_outdated_is_replaced() {
    let node = Node::new();
    node.write("10-flannel.conflist", &flannel().to_string());
    node.install().unwrap();
    let before = fs::metadata(node.path("10-flannel.conflist")).unwrap().modified().unwrap();
    node.install().unwrap();
    assert_eq!(fs::metadata(node.path("10-flannel.conflist")).unwrap().modified().unwrap(), before);
    fs::write(node.program(), "an older version").unwrap();
    let mut installer = node.installer.clone();
    installer.entry.on_failure = OnFailure::Allow;
    installer.install(&mut None).unwrap();
    assert_eq!(fs::read(node.program()).unwrap(), PROGRAM);
    let list = node.json("10-flannel.conflist");
    assert_eq!((types(&list).len(), &list["plugins"][2]["onFailure"]), (3, &json!("allow")));
}

#[test]
fn what_its_owner_writes_anew_is_entered_again() {
    let node = Node::new();
    for name in ["10-net.conflist", "05-newer.conflist"] {
        node.write(name, &flannel().to_string());
        assert_eq!(node.install().unwrap(), name);
        node.write(name, &flannel().to_string());
        assert_eq!(node.install().unwrap(), name);
        assert_eq!(types(&node.json(name)).len(), 3);
    }
}

#[test]
fn a_single_configuration_makes_way_and_comes_back() {
    for name in ["10-ptp.conf", "10-ptp.json"] {
        let node = Node::new();
        let single = r#"{ "cniVersion": "1.0.0", "name": "pods", "type": "ptp", "ipam": {"type": "host-local"} }"#;
        node.write(name, single);
        assert_eq!(node.install().unwrap(), "10-ptp.conflist");
        let list = node.json("10-ptp.conflist");
        assert_eq!(
            (types(&list), &list["name"], &list["cniVersion"]),
            (vec!["ptp", PLUGIN], &json!("pods"), &json!("1.0.0"))
        );
        assert_eq!(list["plugins"][0], json!({"type": "ptp", "ipam": {"type": "host-local"}}));
        assert_eq!(node.install().unwrap(), "10-ptp.conflist");
        let newer = single.replace("ptp", "ptp2");
        node.write(name, &newer);
        node.install().unwrap();
        assert_eq!(types(&node.json("10-ptp.conflist")), ["ptp2", PLUGIN], "its owner wrote it anew");
        node.remove();
        assert_eq!((node.names(), node.text(name)), (vec![name.to_owned()], newer));
    }
}

#[test]
fn what_is_not_understood_stays_as_it_is_and_is_named() {
    let one = |more: &str| format!(r#"{{"cniVersion": "1.0.0", "name": "n", {more}}}"#);
    for (name, text, why) in [
        ("10-a.conflist", "{\"plugins\": [", "no JSON"),
        ("10-a.conflist", "", "no JSON"),
        ("10-a.conflist", "[]", "no JSON"),
        ("10-a.conflist", &one("\"plugins\": {}"), "no list of `plugins`"),
        ("10-a.conflist", &one("\"plugins\": [{}]"), "has no `type`"),
        ("10-a.conflist", &one("\"plugins\": []"), "no plugin that gives addresses"),
        ("10-a.conflist", &one("\"plugins\": [{\"type\": \"palisade-cni\"}]"), "no plugin that gives addresses"),
        ("10-a.conflist", r#"{"cniVersion": "0.2.0", "plugins": [{"type": "ptp"}]}"#, "cniVersion is 0.2.0"),
        ("10-a.conf", &one("\"plugins\": [{\"type\": \"ptp\"}]"), "no `type`"),
        ("10-a.conf", "type: ptp", "no JSON"),
    ] {
        let node = Node::new();
        node.write(name, text);
        let error = node.install().unwrap_err();
        assert!(error.contains(name) && error.contains(why), "{text}: {error}");
        assert_eq!((node.text(name), node.names().len()), (text.to_owned(), 1));
        assert!(!node.program().exists(), "{text}");
        node.remove();
        assert!(why.contains("addresses") || node.text(name) == text, "{text}");
    }
}

#[test]
fn anothers_file_is_not_overwritten() {
    let node = Node::new();
    node.write("10-a.conf", r#"{"cniVersion": "1.0.0", "name": "n", "type": "ptp"}"#);
    node.write("10-a.conflist", &flannel().to_string());
    assert!(node.install().unwrap_err().contains("10-a.conflist is there as well"));
    assert_eq!(node.json("10-a.conflist"), flannel());
    fs::remove_file(node.path("10-a.conf")).unwrap();
    fs::rename(node.path("10-a.conflist"), node.files.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(node.files.path().join("elsewhere"), node.path("10-a.conflist")).unwrap();
    assert!(node.install().unwrap_err().contains("symbolic link"));
}

#[test]
fn without_its_program_it_is_not_entered() {
    let node = Node::new();
    assert!(node.install().unwrap_err().contains("holds no network configuration"));
    node.write("10-flannel.conflist", &flannel().to_string());
    fs::remove_dir(&node.installer.programs).unwrap();
    assert!(node.install().unwrap_err().contains("palisade-cni"));
    assert_eq!(node.json("10-flannel.conflist"), flannel());
}

#[test]
fn a_program_that_is_in_its_place_stays_there_whatever_happens() {
    let node = Node::new();
    node.write("10.conflist", &flannel().to_string());
    let mut placed = None;
    let mut place = || node.installer.install(&mut placed).map(|_| placed.is_some()).unwrap();
    assert!(!place(), "it was not there");
    assert!(place(), "it was as it should be");
    let is_as_new =
        || fs::read(node.program()).is_ok_and(|is| is == PROGRAM) && mode(&node.program()).unwrap() == 0o755;
    let other = vec![b'x'; PROGRAM.len()];
    let harm: [&dyn Fn(); 3] = [
        &|| fs::write(node.program(), &other).unwrap(),
        &|| fs::set_permissions(node.program(), fs::Permissions::from_mode(0o644)).unwrap(),
        &|| fs::remove_file(node.program()).unwrap(),
    ];
    for harm in harm {
        // Times of files have steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        harm();
        assert!(!is_as_new());
        assert!(!place() && is_as_new());
        assert!(place());
    }
}
