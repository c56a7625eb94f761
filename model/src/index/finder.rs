//! Which classes definitions match, when many are asked for at once.

use super::cluster::Cluster;
use super::definition::{Definition, File};
use super::labelled::Labelled;
use super::slots::ClassId;

/// How many definitions that may match anywhere are asked for before classes are filed by their labels.
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
        self.asked += 1;
        if self.asked <= WORTHWHILE {
            return definition.find_classes(cluster);
        }
        let by_labels = self.classes.get_or_insert_with(|| filed(cluster));
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
