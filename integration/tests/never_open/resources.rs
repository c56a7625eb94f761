//! A machine that has run out of something.

use std::fs;
use std::path::Path;

use palisade_integration::agent::binary;
use palisade_integration::netns::Daemon;

use crate::scene::{Scene, eventually, pod, rounds};

/// Runs the agent with its log and its socket on a disk that is full.
const ON_A_FULL_DISK: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs -o size=4096,nr_inodes=3 full "$1"
head -c 4096 /dev/zero >"$1/fill"
: >"$1/log"
if echo more 2>/dev/null >>"$1/log"; then exit 99; fi
shift
exec "$@" 2>>"$DISK/log" >&2
"#;

/// In KiB of address space: from what does not even start to what is enough.
const LIMITS: [u32; 7] = [8_000, 20_000, 40_000, 60_000, 90_000, 130_000, 2_000_000];

/// It can neither log nor make its socket, and goes on enforcing: old policies, and new ones.
#[test]
fn a_full_disk() {
    let scene = Scene::enforcing();
    let disk = scene.path("disk");
    fs::create_dir(&disk).unwrap();
    scene.holds_while(|traffic| {
        let mut agent = on_a_full_disk(&scene, &disk);
        for round in 0..rounds(4) {
            scene.policies(round % 2 == 0);
            eventually(|| in_force(&scene).then_some(()), || format!("not in force; it is {:?}", agent.ended()));
            traffic.pass(50);
        }
        assert!(agent.ended().unwrap().is_none(), "{:?}", agent.ended());
        let seen = Path::new("/proc").join(agent.id().to_string()).join("root").join(disk.strip_prefix("/").unwrap());
        assert_eq!(fs::read(seen.join("log")).unwrap().len(), 0, "the disk is not full");
        assert!(!seen.join("status.sock").exists(), "the disk is not full");
    });
}

fn on_a_full_disk(scene: &Scene, disk: &Path) -> Daemon {
    let run = scene.palisade("run");
    Daemon::start(scene.namespace(), Path::new("unshare"), |command| {
        command.env("DISK", disk).args(["--mount", "sh", "-c", ON_A_FULL_DISK, "sh"]).arg(disk);
        command.arg(binary().unwrap()).args(run.get_args()).arg("--status-socket").arg(disk.join("status.sock"));
    })
    .unwrap()
}

fn in_force(scene: &Scene) -> bool {
    scene.prints(&mut scene.palisade("diff")).is_empty()
}

/// With too little memory it is killed, or kills itself: what was enforced stays, whatever it was about to do.
#[test]
fn too_little_memory() {
    let scene = Scene::enforcing();
    let held = scene.blocks();
    let many: Vec<_> = (0..4_000).map(remote).collect();
    scene.write("many.yaml", &many.join("\n---\n"));
    scene.policies(true);
    let mut deaths = Vec::new();
    scene.holds_while(|_| {
        for limit in LIMITS {
            let mut agent = with_memory(&scene, limit);
            let status = eventually(
                || agent.ended().unwrap().map(Some).or_else(|| in_force(&scene).then_some(None)),
                || format!("with {limit} KiB it neither enforces nor ends"),
            );
            let Some(status) = status else { break };
            assert!(!status.success());
            assert_eq!(scene.blocks(), held, "{limit} KiB");
            deaths.push(limit);
        }
    });
    println!("died with at most {deaths:?} KiB");
    assert!((3..LIMITS.len()).contains(&deaths.len()), "{deaths:?}");
}

fn with_memory(scene: &Scene, kibibytes: u32) -> Daemon {
    let run = scene.palisade("run");
    Daemon::start(scene.namespace(), Path::new("prlimit"), |command| {
        command.arg(format!("--as={}", u64::from(kibibytes) * 1024)).arg(binary().unwrap()).args(run.get_args());
        command.stderr(fs::File::create(scene.path("agent.log")).unwrap());
    })
    .unwrap()
}

/// A friend on another node, which the policies name.
fn remote(number: u32) -> String {
    let [a, b] = [number / 250, number % 250 + 1];
    pod("friend", 1)
        .replace("name: friend", &format!("name: friend-{number}"))
        .replace("node-0", "node-1")
        .replace("10.1.0.1", &format!("10.2.{a}.{b}"))
        .replace("fd01::1", &format!("fd02::{a}:{b}"))
}
