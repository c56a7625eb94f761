//! One copy of what many pods share.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use palisade_model::Labels;

use crate::convert::Texts;

/// Texts and labels, each once.
#[derive(Debug, Default)]
pub(super) struct Strings {
    texts: HashSet<Arc<str>>,
    /// By the hash of how they are written; of two with the same hash, the first.
    labels: HashMap<u64, Labels>,
}

impl Strings {
    fn hash<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        let mut hasher = self.labels.hasher().build_hasher();
        labels.for_each(|label| label.hash(&mut hasher));
        hasher.finish()
    }
}

impl Texts for Strings {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
    }

    fn labels<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Labels {
        let hash = self.hash(labels.clone());
        if let Some(known) = self.labels.get(&hash)
            && is_same(known, labels.clone())
        {
            return known.clone();
        }
        let labels: Labels = labels.map(|(key, value)| (self.text(key), self.text(value))).collect();
        self.labels.entry(hash).or_insert_with(|| labels.clone());
        labels
    }
}

fn is_same<'a>(known: &Labels, mut labels: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut known = known.iter();
    labels.all(|label| known.next().is_some_and(|(key, value)| (&**key, &**value) == label)) && known.next().is_none()
}
