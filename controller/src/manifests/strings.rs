//! One copy of what many pods share.

use std::collections::HashSet;
use std::sync::Arc;

use palisade_model::Labels;

/// Texts and labels, each once.
#[derive(Debug, Default)]
pub(super) struct Strings {
    texts: HashSet<Arc<str>>,
    labels: HashSet<Labels>,
}

impl Strings {
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
    }

    pub(super) fn labels(&mut self, labels: &Labels) -> Labels {
        if let Some(known) = self.labels.get(labels) {
            return known.clone();
        }
        let labels: Labels = labels.iter().map(|(key, value)| (self.text(key), self.text(value))).collect();
        self.labels.insert(labels.clone());
        labels
    }
}
