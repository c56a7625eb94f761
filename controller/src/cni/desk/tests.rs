use std::time::SystemTime;

use palisade_model::testing::bare_pod;
use palisade_model::{Change, ContainerPort, Enforcement, Labels, Policy, Protocol, Selector};
use palisade_nft::{Fake, Name};
use tempfile::TempDir;

use super::*;
use crate::enforcer::tests::Memory;
use crate::render;

const NODE: &str = "node-1";

/// The local pod `shop/web`, of which the API shows no address.
pub(crate) fn web() -> Pod {
    Pod {
        uid: Some("u1".into()),
        node: Some(NODE.into()),
        labels: Labels::from_iter([("app", "web")]),
        ports: vec![ContainerPort { name: "http".into(), protocol: Protocol::Tcp, port: 80 }],
        ..bare_pod(NamespacedName::new("shop", "web"), [])
    }
}

pub(crate) fn add(container: &str, address: &str) -> Add {
    Add {
        id: AttachmentId { container: container.to_owned(), interface: "eth0".to_owned() },
        network: "pods".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        uid: Some("u1".to_owned()),
        netns: String::new(),
        addresses: BTreeSet::from([address.parse().unwrap()]),
        links: vec![],
        wait: 60_000,
        asked: None,
    }
}

struct Scene {
    desk: Desk,
    enforcer: Enforcer<Fake>,
    directory: TempDir,
}

impl Scene {
    /// Nothing may call any pod of `shop`; no pod is known.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let desk = Desk::open(Store::open(directory.path()).unwrap()).unwrap();
        let mut scene = Self { desk, enforcer: enforcer(), directory };
        scene.act();
        scene
    }

    /// The agent is another one from now on.
    fn restart(&mut self) {
        self.desk = Desk::open(Store::open(self.directory.path()).unwrap()).unwrap();
        self.enforcer = enforcer();
        self.desk.restore(&mut self.enforcer);
    }

    fn ask(&mut self, request: Request) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.desk.take(Call { request, reply }, &mut self.enforcer);
        answer
    }

    fn add(&mut self, add: Add) -> oneshot::Receiver<Answer> {
        self.ask(Request::Add(Box::new(add)))
    }

    /// As the agent does, once everything has been listed.
    fn act(&mut self) -> Outcome {
        let mut outcome = self.desk.expire(&self.enforcer, true);
        outcome.refused.extend(self.desk.enter(&mut self.enforcer).refused);
        self.desk.keep_up(&mut self.enforcer);
        self.enforcer.commit().unwrap();
        outcome.added.extend(self.desk.answer(&self.enforcer).added);
        outcome
    }

    /// By whose name each address is judged.
    fn judged(&self) -> Vec<(String, String)> {
        let pods = render::pods(self.enforcer.desired()).into_iter();
        let all = pods.flat_map(|(name, pod)| pod.addresses.into_iter().map(move |at| (at.to_string(), name.clone())));
        all.collect()
    }
}

fn enforcer() -> Enforcer<Fake> {
    let table = Name::new("palisade").unwrap();
    let mut enforcer = Enforcer::new(NODE, table.clone(), Fake::new(table));
    let id = NamespacedName::new("shop", "deny");
    enforcer.apply(Change::Policy(Policy {
        id,
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(vec![]),
        egress: None,
    }));
    enforcer
}

fn judged(pods: &[(&str, &str)]) -> Vec<(String, String)> {
    pods.iter().map(|(address, name)| ((*address).to_owned(), (*name).to_owned())).collect()
}

/// What was answered by now.
fn now(answer: &mut oneshot::Receiver<Answer>) -> Option<Result<(), CniError>> {
    answer.try_recv().ok().map(Answer::into_result)
}

#[test]
fn an_answer_comes_with_the_commit_that_enforces_it() {
    let mut scene = Scene::new();
    let mut answer = scene.add(add("a", "10.0.0.1"));
    scene.act();
    assert_eq!(now(&mut answer), None, "no such pod is known");
    scene.enforcer.apply(Change::Pod(Pod { uid: Some("of another".into()), ..web() }));
    scene.act();
    assert_eq!(now(&mut answer), None, "another pod of its name");
    scene.enforcer.apply(Change::Pod(web()));
    assert_eq!(scene.act().added.len(), 1);
    assert_eq!(now(&mut answer), Some(Ok(())));
    assert_eq!(scene.judged(), judged(&[("10.0.0.1", "shop/web")]));
}

/// Also where the agent was long in taking the question; whatever clocks say, he has not waited longer than he would.
#[test]
fn a_pod_has_waited_since_the_plugin_asked() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    let mut waited = |asked: Option<SystemTime>| {
        let _answer = scene.add(Add { asked, ..add("a", "10.0.0.1") });
        scene.act().added[0]
    };
    let (now, second) = (SystemTime::now(), Duration::from_secs(1));
    assert!(waited(None) < 30 * second);
    assert!((30 * second..60 * second).contains(&waited(Some(now - 30 * second))));
    assert!(waited(Some(now + 3600 * second)) < 30 * second);
    assert!((60 * second..90 * second).contains(&waited(Some(now - 3600 * second))));
}

#[test]
fn an_answer_waits_until_connections_of_before_are_forgotten() {
    let mut scene = Scene::new();
    let conntrack = Memory::default();
    conntrack.fails(true);
    scene.enforcer = enforcer().with_owners_of(conntrack.clone());
    scene.enforcer.apply(Change::Pod(web()));
    let mut answer = scene.add(add("a", "10.0.0.1"));
    scene.act();
    assert_eq!(now(&mut answer), None, "nothing is let to it yet");
    conntrack.fails(false);
    while scene.enforcer.is_held(["10.0.0.1".parse().unwrap()]) {
        assert_eq!(now(&mut answer), None);
        scene.act();
    }
    assert_eq!(now(&mut answer), Some(Ok(())));
}

#[test]
fn what_waits_too_long_is_refused_and_entered_all_the_same() {
    let mut scene = Scene::new();
    let mut answer = scene.add(Add { wait: 0, ..add("a", "10.0.0.1") });
    assert_eq!(scene.act().refused, [Refusal::UnknownPod]);
    let error = now(&mut answer).unwrap().unwrap_err();
    assert_eq!(error.code, Code::TRY_AGAIN_LATER);
    assert!(error.msg.contains("does not know pod shop/web"), "{error}");
    scene.enforcer.apply(Change::Pod(web()));
    assert_eq!(scene.act(), Outcome::default(), "nobody waits any more");
    assert_eq!(scene.judged(), judged(&[("10.0.0.1", "shop/web")]), "where pods start all the same");
    scene.ask(Request::Del { id: add("a", "10.0.0.1").id });
    scene.act();
    assert_eq!(scene.judged(), []);
}

#[test]
fn two_hundred_are_one_commit() {
    let mut scene = Scene::new();
    let mut answers = Vec::new();
    for number in 0..200_u8 {
        let name = format!("web-{number}");
        let id = NamespacedName::new("shop", name.as_str());
        scene.enforcer.apply(Change::Pod(Pod { id, ..web() }));
        let container = format!("c{number}");
        answers.push(scene.add(Add { name, ..add(&container, &format!("10.0.1.{number}")) }));
    }
    assert_eq!(scene.act().added.len(), 200);
    assert!(answers.iter_mut().all(|answer| now(answer) == Some(Ok(()))));
}

#[test]
fn an_agent_that_starts_knows_what_the_last_one_answered() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    let mut answer = scene.add(add("a", "10.0.0.1"));
    scene.act();
    assert_eq!(now(&mut answer), Some(Ok(())));
    scene.restart();
    scene.act();
    assert_eq!(scene.judged(), judged(&[("10.0.0.1", "shop/web (sandbox a:eth0)")]), "deleted by force meanwhile");
    scene.enforcer.apply(Change::Pod(web()));
    scene.act();
    assert_eq!(scene.judged(), judged(&[("10.0.0.1", "shop/web")]));
    scene.ask(Request::Del { id: add("a", "10.0.0.1").id });
    scene.restart();
    scene.act();
    assert_eq!(scene.judged(), []);
}

/// The last labels that the agent has seen are the pod's, not those with which it came.
#[test]
fn an_agent_that_starts_knows_labels_that_came_later() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    scene.add(add("a", "10.0.0.1"));
    scene.act();
    let relabelled = Pod { labels: Labels::from_iter([("app", "db")]), ports: vec![], ..web() };
    scene.enforcer.apply(Change::Pod(relabelled.clone()));
    scene.act();
    scene.restart();
    let of = |scene: &Scene| scene.enforcer.index().sandboxes()["a:eth0"].pod.clone();
    assert_eq!((of(&scene).labels, of(&scene).ports), (relabelled.labels, relabelled.ports));
    // What the plugin removes while it is not heard does not come back with a change of labels.
    std::fs::remove_file(scene.directory.path().join("a:eth0")).unwrap();
    scene.enforcer.apply(Change::Pod(web()));
    scene.act();
    assert_eq!(of(&scene).labels, web().labels);
    assert!(!scene.directory.path().join("a:eth0").exists());
}

#[test]
fn of_two_sandboxes_with_one_address_the_later_one_has_it_after_a_restart_too() {
    let mut scene = Scene::new();
    for (container, name) in [("z", "web"), ("a", "next")] {
        let id = NamespacedName::new("shop", name);
        scene.enforcer.apply(Change::Pod(Pod { id, ..web() }));
        scene.add(Add { name: name.to_owned(), ..add(container, "10.0.0.1") });
        scene.act();
    }
    assert_eq!(scene.judged(), judged(&[("10.0.0.1", "shop/next")]));
    scene.restart();
    scene.act();
    assert_eq!(scene.judged(), judged(&[("10.0.0.1", "shop/next (sandbox a:eth0)")]));
}

#[test]
fn what_cannot_be_remembered_is_refused() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    std::fs::remove_dir_all(scene.directory.path()).unwrap();
    let mut answer = scene.add(add("a", "10.0.0.1"));
    assert_eq!(scene.act().refused, [Refusal::NotStored]);
    assert_eq!(now(&mut answer).unwrap().unwrap_err().code, Code::TRY_AGAIN_LATER);
    assert_eq!(scene.judged(), []);
}

#[test]
fn what_is_gone_is_forgotten_whoever_tells() {
    let mut scene = Scene::new();
    let namespaces = tempfile::tempdir().unwrap();
    let netns = |name: &str| namespaces.path().join(name);
    for (container, number) in [("told", 1), ("collected", 2), ("found", 3), ("stays", 4)] {
        let id = NamespacedName::new("shop", container);
        scene.enforcer.apply(Change::Pod(Pod { id, ..web() }));
        std::fs::write(netns(container), "").unwrap();
        let netns = netns(container).to_str().unwrap().to_owned();
        scene.add(Add { name: container.to_owned(), netns, ..add(container, &format!("10.0.0.{number}")) });
    }
    scene.act();
    assert_eq!(scene.judged().len(), 4);
    scene.ask(Request::Del { id: add("told", "10.0.0.1").id });
    let valid = ["found", "stays"].map(|container| add(container, "10.0.0.3").id).into();
    scene.ask(Request::Gc { network: "another".to_owned(), valid: BTreeSet::new() });
    scene.ask(Request::Gc { network: "pods".to_owned(), valid });
    std::fs::remove_file(netns("found")).unwrap();
    scene.desk.look_after(&mut scene.enforcer);
    scene.act();
    assert_eq!(scene.judged(), judged(&[("10.0.0.4", "shop/stays")]));
    std::fs::remove_file(netns("stays")).unwrap();
    scene.restart();
    scene.act();
    assert_eq!(scene.judged(), [], "its namespace went while no agent ran");
}

#[test]
fn what_the_plugin_removed_while_it_was_not_heard_is_forgotten() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    scene.add(add("a", "10.0.0.1"));
    scene.act();
    std::fs::remove_file(scene.directory.path().join("a:eth0")).unwrap();
    scene.desk.look_after(&mut scene.enforcer);
    scene.act();
    assert_eq!(scene.judged(), []);
}

#[test]
fn check_compares_addresses() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    scene.add(add("a", "10.0.0.1"));
    scene.act();
    let mut check = |container: &str, address: &str| {
        let Add { id, addresses, .. } = add(container, address);
        now(&mut scene.ask(Request::Check { id, addresses })).unwrap().map_err(|error| error.code)
    };
    assert_eq!(check("a", "10.0.0.1"), Ok(()));
    assert_eq!(check("a", "10.0.0.2"), Err(Code::NOT_ENFORCED));
    assert_eq!(check("b", "10.0.0.1"), Err(Code::NOT_ENFORCED));
}

#[test]
fn twice_is_once() {
    let mut scene = Scene::new();
    scene.enforcer.apply(Change::Pod(web()));
    let mut answers = [scene.add(add("a", "10.0.0.1")), scene.add(add("a", "10.0.0.1"))];
    scene.act();
    assert_eq!(now(&mut answers[0]).unwrap().unwrap_err().code, Code::TRY_AGAIN_LATER, "who waits no more");
    assert_eq!(now(&mut answers[1]), Some(Ok(())));
    let mut again = scene.add(add("a", "10.0.0.2"));
    scene.act();
    assert_eq!(now(&mut again), Some(Ok(())));
    assert_eq!(scene.judged(), judged(&[("10.0.0.2", "shop/web")]));
}
