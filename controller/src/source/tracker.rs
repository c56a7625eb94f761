//! From what a watch saw to [`Change`]s. Pure.
//!
//! Invariants:
//! - Between [`Tracker::begin`] and [`Tracker::finish`] nothing is withdrawn but what is seen to be deleted.
//! - After [`Tracker::finish`] exactly the objects of that list, and what came since, are known.
//! - Of an object nothing is kept but its name, and a digest of what it says where its kind has one.
//! - What says the same as before becomes no change.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher, RandomState};
use std::marker::PhantomData;

use palisade_model::{Change, NamespacedName};

use super::complaint::{Complaint, Effect, Version};
use super::conditions::Judgement;
use super::kind::Kind;
use super::known::Known;
use super::wire::Arrived;
use crate::convert::Problem;
use crate::objects::Metadata;

/// Knows which objects of a kind there are.
#[derive(Debug)]
pub(super) struct Tracker<K> {
    known: Known,
    /// Counts the lists.
    round: u32,
    /// Of each object with problems its version, and a hash of what was said of it.
    complaints: HashMap<NamespacedName, (Version, u64)>,
    /// Of each object what it said last, for kinds that have digests.
    digests: HashMap<NamespacedName, u64>,
    /// Objects that have never said anything that could be put in force.
    dormant: HashSet<NamespacedName>,
    keys: RandomState,
    kind: PhantomData<fn() -> K>,
}

/// What follows from an object that was seen.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// To be applied.
    pub(super) change: Option<Change>,
    /// To be reported: once for each version of the object, and again where its problems are others.
    pub(super) complaint: Option<Complaint>,
    /// The object, where it had problems and has none any more.
    pub(super) well: Option<NamespacedName>,
    /// What is to be said of it in a condition, where it says something new.
    pub(super) judgement: Option<Judgement>,
}

impl<K> Default for Tracker<K> {
    fn default() -> Self {
        Self {
            known: Known::default(),
            round: 0,
            complaints: HashMap::new(),
            digests: HashMap::new(),
            dormant: HashSet::new(),
            keys: RandomState::new(),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Tracker<K> {
    /// A list begins: what it does not name until it is finished is gone.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// An object is there.
    pub(super) fn seen(&mut self, arrived: Arrived<K>) -> Seen {
        let Some(id) = id(arrived.metadata()) else { return Seen::default() };
        let version = version(arrived.metadata());
        let known = self.known.insert(&id, self.round);
        if self.says_the_same(&id, &arrived) {
            return Seen::default();
        }
        let previous_stays = known && !self.dormant.contains(&id);
        let (change, effect, problems) = match arrived {
            Arrived::Whole(object) => match object.change() {
                (Some(change), problems) => (Some(change), K::effect(&problems), problems),
                (None, problems) => (None, if previous_stays { Effect::Earlier } else { Effect::NotInForce }, problems),
            },
            Arrived::Unreadable { field, error, .. } => {
                let change = if previous_stays { None } else { K::unreadable(id.clone()) };
                let effect = match &change {
                    Some(_) => Effect::ClosesNamespace,
                    None if previous_stays => Effect::Earlier,
                    None => Effect::LeftOut,
                };
                (change, effect, vec![Problem { field, message: error }])
            }
        };
        if change.is_some() {
            self.dormant.remove(&id);
        } else if !previous_stays {
            self.dormant.insert(id.clone());
        }
        let judgement = K::judgement(change.as_ref(), &problems);
        if problems.is_empty() {
            let well = self.complaints.remove(&id).map(|_| id);
            return Seen { change, complaint: None, well, judgement };
        }
        Seen { change, complaint: self.complaint(id, version, effect, &problems), well: None, judgement }
    }

    /// An object was deleted.
    pub(super) fn gone(&mut self, metadata: &Metadata) -> Option<Change> {
        let id = id(metadata)?;
        self.forget(&id);
        self.known.remove(&id).then(|| K::gone(id))
    }

    /// The list that began last is complete: withdraws what it did not name, in ascending order.
    pub(super) fn finish(&mut self) -> Vec<Change> {
        let gone = self.known.remove_others(self.round);
        gone.iter().for_each(|id| self.forget(id));
        gone.into_iter().map(K::gone).collect()
    }

    /// How many objects are known.
    pub(super) fn objects(&self) -> usize {
        self.known.len()
    }

    /// How many of them have problems.
    pub(super) fn objects_with_problems(&self) -> usize {
        self.complaints.len()
    }

    /// Whether an object says what it said before; from now on it has said this.
    fn says_the_same(&mut self, id: &NamespacedName, arrived: &Arrived<K>) -> bool {
        let digest = match arrived {
            Arrived::Whole(object) => object.digest(&self.keys),
            Arrived::Unreadable { .. } => None,
        };
        let Some(digest) = digest else {
            self.digests.remove(id);
            return false;
        };
        self.digests.insert(id.clone(), digest) == Some(digest)
    }

    fn forget(&mut self, id: &NamespacedName) {
        self.complaints.remove(id);
        self.digests.remove(id);
        self.dormant.remove(id);
    }

    fn complaint(
        &mut self,
        id: NamespacedName,
        version: Version,
        effect: Effect,
        problems: &[Problem],
    ) -> Option<Complaint> {
        let complaint = Complaint::new(id.clone(), version, effect, problems);
        let said = (complaint.version.clone(), hash(&complaint.text));
        let before = self.complaints.insert(id, said.clone());
        (before != Some(said)).then_some(complaint)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// `None` for an object without a name, which no API server sends.
fn id(metadata: &Metadata) -> Option<NamespacedName> {
    let name = metadata.name.as_deref().filter(|name| !name.is_empty())?;
    Some(NamespacedName::new(metadata.namespace.as_deref().unwrap_or_default(), name))
}

fn version(metadata: &Metadata) -> Version {
    Version { uid: metadata.uid.clone().unwrap_or_default(), generation: metadata.generation.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::{Namespace, NetworkPolicy, Pod};

    fn arrived<K: Kind>(object: &Value) -> Arrived<K> {
        serde_json::from_str(&object.to_string()).unwrap()
    }

    fn pod(name: &str) -> Arrived<Pod> {
        arrived(&json!({"metadata": {"namespace": "shop", "name": name}}))
    }

    fn policy(generation: i64, spec: &Value) -> Arrived<NetworkPolicy> {
        let metadata = json!({"namespace": "shop", "name": "web", "uid": "u", "generation": generation});
        arrived(&json!({"metadata": metadata, "spec": spec}))
    }

    fn names(changes: &[Change]) -> Vec<String> {
        let name = |change: &Change| match change {
            Change::PodGone(id) | Change::PolicyGone(id) => id.to_string(),
            Change::NamespaceGone(name) => name.to_string(),
            other => panic!("{other:?}"),
        };
        changes.iter().map(name).collect()
    }

    #[test]
    fn a_list_withdraws_what_it_does_not_name() {
        let mut tracker = Tracker::default();
        tracker.begin();
        for name in ["a", "b", "c", "d"] {
            assert!(tracker.seen(pod(name)).change.is_some());
        }
        assert_eq!(tracker.finish(), []);
        tracker.seen(pod("e"));

        tracker.begin();
        tracker.seen(pod("c"));
        tracker.begin();
        tracker.seen(pod("a"));
        tracker.seen(pod("f"));
        assert_eq!(names(&tracker.finish()), ["shop/b", "shop/c", "shop/d", "shop/e"]);
        assert_eq!(tracker.objects(), 2);
    }

    #[test]
    fn what_is_not_known_cannot_go() {
        let mut tracker = Tracker::<Pod>::default();
        let metadata = pod("a").metadata().clone();
        assert_eq!(tracker.gone(&metadata), None);
        tracker.seen(pod("a"));
        assert_eq!(names(&[tracker.gone(&metadata).unwrap()]), ["shop/a"]);
        assert_eq!(tracker.gone(&metadata), None);
    }

    #[test]
    fn a_namespace_goes_by_its_name() {
        let mut tracker = Tracker::<Namespace>::default();
        let namespace = || arrived(&json!({"metadata": {"name": "shop"}}));
        let Some(Change::Namespace(seen)) = tracker.seen(namespace()).change else { panic!("a namespace") };
        assert_eq!(&*seen.name, "shop");
        assert_eq!(tracker.gone(namespace().metadata()), Some(Change::NamespaceGone("shop".into())));
    }

    #[test]
    fn each_version_is_complained_about_once() {
        let mut tracker = Tracker::default();
        let bad = json!({"podSelector": {}, "ingress": [{"ports": [{"port": 99999}]}]});
        let complaint = tracker.seen(policy(1, &bad)).complaint.unwrap();
        assert_eq!(complaint.version, Version { uid: "u".to_owned(), generation: 1 });
        assert!(complaint.text.starts_with("spec.ingress[0].ports[0].port: "), "{}", complaint.text);
        assert_eq!(tracker.seen(policy(1, &bad)).complaint, None);
        assert_eq!(tracker.objects_with_problems(), 1);
        assert!(tracker.seen(policy(2, &bad)).complaint.is_some());
        assert_eq!(tracker.seen(policy(3, &json!({"podSelector": {}}))).complaint, None);
        assert_eq!(tracker.objects_with_problems(), 0);
        assert!(tracker.seen(policy(4, &bad)).complaint.is_some());
        tracker.begin();
        tracker.finish();
        assert_eq!(tracker.objects_with_problems(), 0);
    }

    /// Pods had no generation for long.
    #[test]
    fn another_problem_of_the_same_version_is_told_too() {
        let mut tracker = Tracker::<Pod>::default();
        let mut said = |ip: &str| {
            let status = json!({"podIPs": [{"ip": ip}]});
            let pod = json!({"metadata": {"namespace": "shop", "name": "a", "uid": "u"}, "status": status});
            tracker.seen(arrived(&pod)).complaint.map(|complaint| complaint.text)
        };
        assert!(said("10.0.0.1.1").unwrap().contains("10.0.0.1.1"));
        assert_eq!(said("10.0.0.1.1"), None);
        assert!(said("10.0.0.256").unwrap().contains("10.0.0.256"));
        assert_eq!(said("10.0.0.1"), None);
    }

    #[test]
    fn an_effect_is_told() {
        let effect = |tracker: &mut Tracker<NetworkPolicy>, generation, spec: Value| {
            tracker.seen(policy(generation, &spec)).complaint.unwrap().effect
        };
        let mut tracker = Tracker::default();
        assert_eq!(effect(&mut tracker, 1, json!({"podSelector": 5})), Effect::ClosesNamespace);
        assert_eq!(effect(&mut tracker, 2, json!({"podSelector": 6})), Effect::Earlier);
        let port = json!({"podSelector": {}, "ingress": [{"ports": [{"port": 0}]}]});
        assert_eq!(effect(&mut tracker, 3, port), Effect::LeftOut);
        let selector = json!({"podSelector": {"matchLabels": {"a": "-"}}});
        assert_eq!(effect(&mut tracker, 4, selector), Effect::ClosesNamespace);
    }

    #[test]
    fn an_unreadable_policy_keeps_its_previous_version() {
        let mut tracker = Tracker::default();
        assert!(tracker.seen(policy(1, &json!({"podSelector": {}}))).change.is_some());
        tracker.begin();
        let seen = tracker.seen(policy(2, &json!({"podSelector": 5})));
        assert_eq!(seen.change, None);
        assert!(seen.complaint.is_some());
        assert_eq!(tracker.finish(), []);
    }

    #[test]
    fn an_unreadable_policy_without_one_isolates_its_namespace() {
        let Some(Change::Policy(policy)) = Tracker::default().seen(policy(1, &json!({"podSelector": 5}))).change else {
            panic!("a policy")
        };
        assert_eq!(policy.id.to_string(), "shop/web");
        assert_eq!(
            (policy.selector.to_string().as_str(), policy.ingress, policy.egress),
            ("{}", Some(vec![]), Some(vec![]))
        );
    }

    #[test]
    fn an_unreadable_pod_changes_nothing() {
        let mut tracker = Tracker::<Pod>::default();
        let bad = arrived(&json!({"metadata": {"namespace": "shop", "name": "a"}, "spec": 5}));
        let seen = tracker.seen(bad);
        assert_eq!((seen.change, seen.complaint.is_some()), (None, true));
        assert_eq!(tracker.seen(arrived(&json!({"spec": 5}))), Seen::default());
    }
}
