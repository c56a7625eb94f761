use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::WatchParams;
use palisade_integration::apiserver::{AGENT_ACCOUNT, AGENT_NAMESPACE, Fault, Request};
use palisade_integration::patience::LIMIT;
use palisade_integration::steady::{Record, Steady};
use serde_json::json;

use super::scene::{SHOP, Scene};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// Every fault, by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("api-server-killed-and-restarted", killed_and_restarted),
    ("api-server-hangs", hangs),
    ("lists-cut-in-the-middle", lists_cut),
    ("resource-version-too-old", too_old),
    ("slow-list", slow_list),
    ("rights-taken-and-given-back", rights_taken),
    ("token-expires", token_expires),
    ("agent-restarts-while-the-api-is-away", agent_restarts),
];

const PERIOD: Duration = Duration::from_millis(5);
/// How long the fault lasts, at least: some hundred datagrams on every stream.
const AWHILE: Duration = Duration::from_secs(2);
/// So many of the last datagrams must agree before a verdict counts as changed.
const AGREEING: usize = 40;
/// Pods that make a list long.
const BALLAST: usize = 150;

/// How long the API server goes on believing a token that it has checked, and some.
const TOKEN_CACHE: Duration = Duration::from_secs(13);

const FRIEND: usize = 0;
const STRANGER: usize = 1;
const GUEST: usize = 2;
const EXILE: usize = 3;

/// Packets that flow all the time to the pod `web`: the friend's are allowed, the stranger's never. At the [`change`]
/// the guest becomes a friend and the exile ceases to be one.
///
/// [`change`]: Drill::change
struct Drill<'c> {
    scene: Scene<'c>,
    steady: Steady,
    changed: Option<Instant>,
}

impl<'c> Drill<'c> {
    fn start(context: &'c Context) -> Result<Self, Box<dyn Error>> {
        let mut scene = Scene::new(context, 1)?;
        let pods =
            [("web", "web"), ("friend", "friend"), ("stranger", "stranger"), ("guest", "guest"), ("exile", "friend")];
        for ((name, role), number) in pods.into_iter().zip(2..) {
            scene.run_pod(name, role, 0, number)?;
        }
        let flows =
            [("friend", "web", true), ("stranger", "web", false), ("guest", "web", false), ("exile", "web", true)];
        scene.expect(&flows)?;
        let streams: Vec<_> =
            flows.iter().zip(7000..).map(|((from, to, _), port)| scene.stream(from, to, port)).collect();
        let steady = Steady::start(&streams, PERIOD)?;
        drop(streams);
        sleep(AWHILE / 4);
        Ok(Self { scene, steady, changed: None })
    }

    fn change(&mut self) -> Outcome {
        self.changed = Some(Instant::now());
        self.scene.set_role("guest", "friend")?;
        self.scene.set_role("exile", "stranger")
    }

    /// Makes the versions that the agent has seen too old to go on from, for an API server that was restarted and that
    /// the agent cannot reach yet. From then on there is a long list to read.
    fn outdate(&mut self) -> Outcome {
        self.scene.site.proxy.set(Fault::Refuse);
        self.scene.add_ballast(BALLAST)?;
        self.scene.site.api.kill();
        Ok(self.scene.site.api.start_again()?)
    }

    /// Waits until the agent has asked for so many more lists of pods.
    fn wait_for_lists(&mut self, count: usize) -> Outcome {
        let lists = |drill: &Self| -> Result<usize, Box<dyn Error>> {
            let requests = drill.scene.site.requests()?;
            let is_list = |one: &&Request| one.resource == "pods" && (one.verb == "list" || one.initial_events);
            Ok(requests.iter().filter(is_list).count())
        };
        let (started, before) = (Instant::now(), lists(self)?);
        while lists(self)? < before + count {
            if started.elapsed() > LIMIT {
                return Err(format!("the agent does not list again\n{}", self.scene.logs()).into());
            }
            sleep(PERIOD * 10);
        }
        Ok(())
    }

    /// Waits until the change is enforced.
    fn converge(&mut self) -> Outcome {
        let started = Instant::now();
        loop {
            let all = |stream, arrived| {
                let last = self.steady.last(stream, AGREEING);
                last.len() == AGREEING && last.iter().all(|datagram| datagram.arrived == arrived)
            };
            if all(GUEST, true) && all(EXILE, false) {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                return Err(format!("the change is not enforced after {LIMIT:?}\n{}", self.scene.logs()).into());
            }
            self.scene.check_agents()?;
            sleep(PERIOD);
        }
    }

    /// Judges all that was sent.
    fn judge(self) -> Outcome {
        let logs = self.scene.logs();
        let records = self.steady.stop();
        let changed = self.changed.ok_or("a drill has a change")?;
        let whole = |record: &Record| record.since(record.datagrams()[0].sent);
        let faults = [
            ("the friend lost", whole(&records[FRIEND]).1),
            ("the stranger got through with", whole(&records[STRANGER]).0),
            ("the guest got through too early with", records[GUEST].until(changed).0),
            ("the exile lost too early", records[EXILE].until(changed).1),
        ];
        let faults: Vec<_> = faults.iter().filter(|(_, count)| *count > 0).collect();
        if faults.is_empty() { Ok(()) } else { Err(format!("{faults:?} datagrams\n{logs}").into()) }
    }
}

fn killed_and_restarted(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    drill.scene.site.api.kill();
    sleep(AWHILE);
    drill.scene.site.api.start_again()?;
    drill.change()?;
    drill.converge()?;
    drill.judge()
}

fn hangs(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    drill.scene.site.api.pause()?;
    sleep(AWHILE);
    drill.scene.site.api.resume()?;
    drill.change()?;
    drill.converge()?;
    drill.judge()
}

/// Whoever takes half a list for the whole withdraws the friend's rights.
fn lists_cut(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    drill.outdate()?;
    drill.change()?;
    for bytes in [8_000, 60_000] {
        drill.scene.site.proxy.set(Fault::CutAfter(bytes));
        drill.wait_for_lists(1)?;
    }
    drill.scene.site.proxy.set(Fault::None);
    drill.converge()?;
    drill.judge()
}

fn too_old(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    let cluster = drill.scene.site.api.cluster();
    let seen = cluster.wait("get a pod", async { cluster.of::<Pod>(SHOP).get("web").await })?;
    drill.outdate()?;
    drill.change()?;
    let version = seen.metadata.resource_version.unwrap_or_default();
    assert_eq!(watch_from(&drill.scene, &version)?, Some(410), "the API server no longer knows this version");
    drill.scene.site.proxy.set(Fault::None);
    drill.wait_for_lists(1)?;
    drill.converge()?;
    drill.judge()
}

fn slow_list(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    drill.outdate()?;
    drill.change()?;
    drill.scene.site.proxy.set(Fault::Slow(40_000));
    drill.wait_for_lists(1)?;
    drill.converge()?;
    drill.judge()
}

fn rights_taken(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    drill.scene.site.api.cluster().unbind(AGENT_ACCOUNT)?;
    sleep(AWHILE / 4);
    drill.scene.site.proxy.cut();
    sleep(AWHILE);
    drill.change()?;
    sleep(AWHILE);
    drill.scene.site.api.cluster().bind(AGENT_NAMESPACE, AGENT_ACCOUNT)?;
    drill.converge()?;
    let refused = drill.scene.site.requests()?.iter().filter(|request| request.code == 403).count();
    assert!(refused > 0, "the agent asked without rights");
    drill.judge()
}

fn token_expires(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    let site = &drill.scene.site;
    let token = |lifetime| site.api.token(AGENT_NAMESPACE, AGENT_ACCOUNT, lifetime);
    site.kubeconfig.set_token(&token(Duration::from_secs(2))?)?;
    drill.scene.replace_agents()?;
    sleep(TOKEN_CACHE);
    drill.scene.site.proxy.cut();
    let refused = unauthorized(&drill.scene)?;
    sleep(AWHILE);
    assert!(unauthorized(&drill.scene)? > refused, "the agent asked with an expired token");
    drill.change()?;
    let site = &drill.scene.site;
    site.kubeconfig.set_token(&site.api.token(AGENT_NAMESPACE, AGENT_ACCOUNT, Duration::from_secs(3600))?)?;
    drill.converge()?;
    drill.judge()
}

fn agent_restarts(context: &Context) -> Outcome {
    let mut drill = Drill::start(context)?;
    drill.scene.site.proxy.set(Fault::Refuse);
    drill.scene.replace_agents()?;
    sleep(AWHILE);
    drill.change()?;
    drill.scene.check_agents()?;
    drill.scene.site.proxy.set(Fault::None);
    drill.converge()?;
    drill.judge()
}

/// The status code of the first event of a watch from a version, if it is an error.
fn watch_from(scene: &Scene<'_>, version: &str) -> Result<Option<u16>, Box<dyn Error>> {
    let request = kube::core::Request::new("/api/v1/pods").watch(&WatchParams::default().timeout(2), version)?;
    let answer = scene.site.api.block_on(scene.site.api.client().request_text(request));
    let first = match answer {
        Ok(text) => text.lines().next().map(serde_json::from_str::<serde_json::Value>).transpose()?,
        Err(kube::Error::Api(status)) => return Ok(Some(status.code)),
        Err(error) => return Err(error.into()),
    };
    let event = first.unwrap_or(json!({}));
    Ok(event["object"]["code"].as_u64().and_then(|code| u16::try_from(code).ok()))
}

/// How many requests the API server has refused for want of a valid token, since it started.
fn unauthorized(scene: &Scene<'_>) -> Result<u64, Box<dyn Error>> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let metrics = scene.site.api.block_on(scene.site.api.client().request_text(request))?;
    let counter = metrics.lines().find_map(|line| line.strip_prefix("authentication_attempts{result=\"error\"} "));
    Ok(counter.map_or(Ok(0), str::parse)?)
}
