//! Many packets at once, each with a mark of its own, and which of them arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::forge::Frame;
use palisade_integration::patience::LIMIT;

use crate::policies::Policy;
use crate::scene::Scene;

/// What has not arrived so long after everything honest will not.
const SILENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(2);
/// So many, and the queues of no link are full.
const AT_ONCE: usize = 100;

const MARKED: &[u8; 4] = b"FRGD";
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What a payload must contain to be known again.
pub(crate) type Mark = [u8; 8];

/// Makes frames that contain the mark.
type Make = Box<dyn Fn(&Mark) -> Vec<Frame>>;

/// Something that is sent, and who should see it, or not.
pub(crate) struct Aim {
    pub(crate) name: String,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    frames: Make,
}

impl Aim {
    /// The frames contain the mark.
    pub(crate) fn new(
        name: impl Into<String>,
        [from, to]: [&'static str; 2],
        frames: impl Fn(&Mark) -> Vec<Frame> + 'static,
    ) -> Self {
        let name = format!("{from} to {to}: {}", name.into());
        Self { name, from, to, frames: Box::new(frames) }
    }
}

/// What is forbidden, and what is honest.
#[derive(Default)]
pub(crate) struct Volley {
    pub(crate) forged: Vec<Aim>,
    pub(crate) honest: Vec<Aim>,
}

impl Volley {
    /// Sees all of it arrive without agents, then starts them; [`Volley::fails`].
    #[track_caller]
    pub(crate) fn fails_under(&self, scene: &mut Scene, policies: &[Policy]) {
        self.works(scene);
        scene.enforce(policies);
        self.fails(scene);
    }

    /// Asserts that all of it arrives.
    #[track_caller]
    pub(crate) fn works(&self, scene: &Scene) {
        let all: Vec<_> = self.forged.iter().chain(&self.honest).collect();
        let arrived = fire(scene, &all, &all);
        let lost: Vec<_> = all.iter().map(|aim| &aim.name).filter(|name| !arrived.contains(*name)).collect();
        assert!(lost.is_empty(), "nobody forbids these, and they do not arrive: {lost:#?}");
    }

    /// Asserts that what is honest arrives, and nothing else.
    #[track_caller]
    pub(crate) fn fails(&self, scene: &Scene) {
        let through = self.through(scene);
        assert!(through.is_empty(), "{} of {} got through: {through:#?}", through.len(), self.forged.len());
    }

    /// What is forged and arrives. What is honest does.
    #[track_caller]
    pub(crate) fn through(&self, scene: &Scene) -> Vec<String> {
        let all: Vec<_> = self.forged.iter().chain(&self.honest).collect();
        let honest: Vec<_> = self.honest.iter().collect();
        let arrived = fire(scene, &all, &honest);
        let lost: Vec<_> = honest.iter().map(|aim| &aim.name).filter(|name| !arrived.contains(*name)).collect();
        assert!(lost.is_empty(), "these are allowed and do not arrive: {lost:#?}");
        self.forged.iter().map(|aim| aim.name.clone()).filter(|name| arrived.contains(name)).collect()
    }
}

/// Sends everything, waits until what is `expected` has arrived, and a while longer for the rest.
fn fire(scene: &Scene, aims: &[&Aim], expected: &[&Aim]) -> BTreeSet<String> {
    let mut arrived = BTreeSet::new();
    let mut under_way = BTreeMap::new();
    for some in aims.chunks(AT_ONCE) {
        for aim in some {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            under_way.insert((aim.to, number), aim.name.clone());
            let mark = [*MARKED, number.to_be_bytes()].concat().try_into().unwrap();
            (aim.frames)(&mark).iter().for_each(|frame| scene.link(aim.from).send(frame).unwrap());
        }
        let fired: BTreeSet<_> = some.iter().map(|aim| aim.name.as_str()).collect();
        let awaited = expected.iter().map(|aim| aim.name.as_str()).filter(|name| fired.contains(name));
        let awaited: BTreeSet<_> = awaited.collect();
        let start = Instant::now();
        while !awaited.iter().all(|name| arrived.contains(*name)) && start.elapsed() < LIMIT {
            collect(scene, &under_way, &mut arrived);
            sleep(PAUSE);
        }
    }
    if expected.len() < aims.len() {
        sleep(SILENCE);
    }
    collect(scene, &under_way, &mut arrived);
    arrived
}

fn collect(scene: &Scene, under_way: &BTreeMap<(&str, u32), String>, arrived: &mut BTreeSet<String>) {
    let targets: BTreeSet<_> = under_way.keys().map(|(to, _)| *to).collect();
    for to in targets {
        for frame in scene.link(to).received().unwrap() {
            let numbers = marks(&frame).into_iter();
            arrived.extend(numbers.filter_map(|number| under_way.get(&(to, number)).cloned()));
        }
    }
}

/// The marks in a frame.
pub(crate) fn marks(frame: &[u8]) -> Vec<u32> {
    let found = frame.windows(8).filter(|window| window.starts_with(MARKED));
    found.map(|window| u32::from_be_bytes(window[4..].try_into().unwrap())).collect()
}
