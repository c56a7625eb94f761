//! Which classes definitions match, when many are asked for at once.

use super::cluster::Cluster;
use super::definition::{Definition, File};
use super::labelled::Labelled;
use super::slots::ClassId;

/// How many classes are looked at one by one.
const FEW: usize = 128;
/// How many other definitions that may match anywhere are asked for before classes are filed by their labels.
const WORTHWHILE: usize = 4;

/// Finds the classes of definitions. Classes are filed by their labels only while many are asked for, until that is forgotten:
/// the node's first policies, or many new ones. Kept, it would be a tenth of an index's memory.
#[derive(Debug, Default)]
pub(super) struct Finder {
    asked: usize,
    classes: Option<Labelled<ClassId>>,
}

impl Finder {
    /// All classes that match, each once: in no order. They are those that there were at the first question since
    /// [`forget`](Finder::forget).
    pub(super) fn classes(&mut self, definition: &Definition, cluster: &Cluster) -> Vec<ClassId> {
        let File::Pod(selector) = definition.file() else { return definition.find_classes(cluster) };
        // Many pods wear the label of an app, and a namespace that is named has few.
        if definition.is_among_fewer(FEW, cluster) {
            return definition.find_classes(cluster);
        }
        self.asked += 1;
        if self.asked <= WORTHWHILE {
            return definition.find_classes(cluster);
        }
        let by_labels = self.classes.get_or_insert_with(|| filed(cluster));
        if definition.is_among_fewer(by_labels.count(selector), cluster) {
            return definition.find_classes(cluster);
        }
        let matches = |id: &ClassId| {
            let class = &cluster.classes[*id];
            definition.matches(&cluster.spaces[class.space], &class.key)
        };
        by_labels.candidates(selector).filter(matches).collect()
    }

    /// Classes may come and go from now on.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn filed(cluster: &Cluster) -> Labelled<ClassId> {
    let mut classes = Labelled::default();
    cluster.classes.iter().for_each(|(id, class)| classes.insert(&class.key.labels, id));
    classes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::index::objects::ClassKey;
    use crate::{Labels, NamespaceScope, PodGroup, Requirement, Selector};

    const NAMESPACES: usize = 64;
    const APPS: usize = 8;

    /// [`APPS`] classes in each of [`NAMESPACES`] namespaces, of two teams.
    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        for number in 0..NAMESPACES {
            let name: Arc<str> = format!("namespace-{number}").into();
            let space = cluster.space_or_new(&name);
            let team = format!("team-{}", number % 2);
            cluster.relabel(space, Some(Labels::from_iter([("name", &*name), ("team", &team)])));
            for app in 0..APPS {
                let labels = Labels::from_iter([("app", format!("app-{app}"))]);
                cluster.insert_class(space, &ClassKey { labels, ports: Vec::new().into() });
            }
        }
        cluster
    }

    fn selector(key: &str, value: &str) -> Selector {
        Selector::from_iter([Requirement::new(key, "In", [value]).expect("a requirement")])
    }

    fn pods(namespaces: Selector, pods: Selector) -> Definition {
        Definition::Pods(PodGroup { namespaces: NamespaceScope::Matching(namespaces), pods })
    }

    fn assert_found(finder: &mut Finder, definition: &Definition, cluster: &Cluster, count: usize) {
        let (mut found, mut all) = (finder.classes(definition, cluster), definition.find_classes(cluster));
        found.sort_unstable();
        all.sort_unstable();
        assert_eq!((found.len(), found), (count, all), "{definition:?}");
    }

    #[test]
    fn what_may_match_anywhere_is_found_by_labels_once_many_ask() {
        let (cluster, mut finder) = (cluster(), Finder::default());
        for app in 0..APPS {
            assert_eq!(finder.classes.is_some(), app > WORTHWHILE);
            let app = selector("app", &format!("app-{app}"));
            assert_found(&mut finder, &pods(Selector::default(), app), &cluster, NAMESPACES);
        }
        for app in 0..APPS {
            let of_team = pods(selector("team", "team-1"), selector("app", &format!("app-{app}")));
            assert_found(&mut finder, &of_team, &cluster, NAMESPACES / 2);
        }
    }

    #[test]
    fn what_is_in_few_namespaces_is_found_there() {
        let (cluster, mut finder) = (cluster(), Finder::default());
        for number in 0..NAMESPACES {
            let of_one = pods(selector("name", &format!("namespace-{number}")), selector("app", "app-0"));
            assert_found(&mut finder, &of_one, &cluster, 1);
        }
        assert!(finder.classes.is_none(), "nothing was filed for them");
    }
}
