use std::fs::File;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Far longer than anything takes: only a failing test waits for it.
const WATCHDOG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

/// Long enough that only events can be what is noticed.
const EVENTS: Timing = Timing { quiet: SHORT, patience: SHORT, poll: Duration::from_secs(3600) };
const POLLING: Timing = Timing { poll: SHORT, ..EVENTS };

struct Fixture {
    root: TempDir,
    told: Receiver<()>,
    _watch: Watch,
}

impl Fixture {
    /// Watches `dir` below a directory of its own that was prepared by `before`.
    fn new(timing: Timing, before: impl FnOnce(&Path)) -> Self {
        let root = TempDir::new().unwrap();
        before(root.path());
        let (tell, told) = mpsc::channel();
        let on_change = move || {
            let _ = tell.send(());
        };
        let dir = root.path().join("dir");
        let watch = Watch::with_timing(&dir, Seen::of(&dir), timing, on_change).unwrap();
        Self { root, told, _watch: watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("dir").join(name)
    }

    /// Waits until nothing is told for a while.
    fn until_quiet(&self) {
        while self.told.recv_timeout(10 * SHORT).is_ok() {}
    }

    fn changes(&self, change: impl FnOnce(&Self)) {
        self.until_quiet();
        change(self);
        self.told.recv_timeout(WATCHDOG).expect("the change is noticed");
    }
}

fn with_file(root: &Path) {
    fs::create_dir_all(root.join("dir")).unwrap();
    fs::write(root.join("dir/a.yaml"), "1").unwrap();
}

#[test]
fn edits_and_replacements_and_removals_are_events() {
    let fixture = Fixture::new(EVENTS, with_file);
    fixture.changes(|f| fs::write(f.path("a.yaml"), "2").unwrap());
    fixture.changes(|f| {
        fs::write(f.path(".new"), "3").unwrap();
        fs::rename(f.path(".new"), f.path("a.yaml")).unwrap();
    });
    fixture.changes(|f| fs::remove_file(f.path("a.yaml")).unwrap());
    fixture.changes(|f| fs::write(f.path("b.yaml"), "4").unwrap());
}

#[test]
fn directories_made_later_are_watched_too() {
    let fixture = Fixture::new(EVENTS, with_file);
    fixture.changes(|f| fs::create_dir_all(f.path("x/y")).unwrap());
    fixture.changes(|f| fs::write(f.path("x/y/b.yaml"), "1").unwrap());
    fixture.changes(|f| fs::write(f.path("x/y/b.yaml"), "2").unwrap());
}

#[test]
fn the_swap_of_a_mounted_config_map_is_an_event() {
    let fixture = Fixture::new(EVENTS, |root| {
        for version in ["..1", "..2", "..3"] {
            fs::create_dir_all(root.join("dir").join(version)).unwrap();
            fs::write(root.join("dir").join(version).join("a.yaml"), version).unwrap();
        }
        symlink("..1", root.join("dir/..data")).unwrap();
        symlink("..data/a.yaml", root.join("dir/a.yaml")).unwrap();
    });
    for version in ["..2", "..3"] {
        fixture.changes(|f| {
            symlink(version, f.path("..data_tmp")).unwrap();
            fs::rename(f.path("..data_tmp"), f.path("..data")).unwrap();
        });
        assert_eq!(fs::read_to_string(fixture.path("a.yaml")).unwrap(), version);
    }
}

#[test]
fn a_directory_may_vanish_and_return() {
    let fixture = Fixture::new(POLLING, with_file);
    for _ in 0..2 {
        fixture.changes(|f| fs::remove_dir_all(f.path("")).unwrap());
        fixture.changes(|f| with_file(f.root.path()));
        fixture.changes(|f| fs::write(f.path("a.yaml"), "edited").unwrap());
    }
}

#[test]
fn a_directory_may_be_replaced() {
    let fixture = Fixture::new(POLLING, with_file);
    let other = fixture.root.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a.yaml"), "2").unwrap();
    fixture.changes(|f| {
        fs::rename(f.path(""), f.root.path().join("old")).unwrap();
        fs::rename(&other, f.root.path().join("dir")).unwrap();
    });
    fixture.changes(|f| fs::write(f.path("a.yaml"), "3").unwrap());
}

#[test]
fn a_directory_may_come_late() {
    let fixture = Fixture::new(POLLING, |_| {});
    fixture.changes(|f| with_file(f.root.path()));
}

#[test]
fn reading_is_no_change() {
    let fixture = Fixture::new(Timing { poll: SHORT, ..EVENTS }, with_file);
    for _ in 0..20 {
        assert_eq!(fs::read_to_string(fixture.path("a.yaml")).unwrap(), "1");
        thread::sleep(Duration::from_millis(5));
    }
    fixture.until_quiet();
    assert!(fixture.told.try_recv().is_err());
}

#[test]
fn a_stream_of_events_does_not_starve_the_listener() {
    let (send, inbox) = mpsc::channel();
    let timing = Timing { quiet: WATCHDOG, patience: SHORT, poll: WATCHDOG };
    let sender = thread::spawn(move || {
        while send.send(Message::Event).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(matches!(settle(&inbox, timing), Settled::Quiet));
    drop(inbox);
    sender.join().unwrap();
}

#[test]
fn dropping_it_ends_its_thread() {
    let (tell, told) = mpsc::channel::<()>();
    let root = TempDir::new().unwrap();
    let watch = Watch::start(root.path(), Seen::of(root.path()), move || tell.send(()).unwrap()).unwrap();
    drop(watch);
    assert_eq!(told.recv(), Err(mpsc::RecvError), "the closure is gone with the thread");
}

/// What a watch tells at its start of a directory that `between` changed after it was seen.
fn told_at_start(age: Duration, between: impl FnOnce(&Path)) -> bool {
    let root = TempDir::new().unwrap();
    with_file(root.path());
    let (dir, file) = (root.path().join("dir"), root.path().join("dir/a.yaml"));
    let written = SystemTime::now() - age;
    File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
    let seen = Seen::of(&dir);
    between(&file);
    let (tell, told) = mpsc::channel();
    let watch = Watch::with_timing(&dir, seen, EVENTS, move || tell.send(()).unwrap()).unwrap();
    let is_told = told.recv_timeout(10 * SHORT).is_ok();
    drop(watch);
    is_told
}

const LONG_AGO: Duration = Duration::from_secs(60);

#[test]
fn what_was_seen_is_told_again_only_where_it_may_have_changed() {
    assert!(!told_at_start(LONG_AGO, |_| {}));
    assert!(told_at_start(LONG_AGO, |file| fs::write(file, "2").unwrap()));
    assert!(told_at_start(LONG_AGO, |file| fs::remove_file(file).unwrap()));
    assert!(told_at_start(Duration::ZERO, |_| {}), "another version may look alike");
}
