//! Where texts go that many objects share.

use std::sync::Arc;

use palisade_model::Labels;

/// Makes texts and labels of objects, or finds ones that it has made.
pub trait Texts {
    /// This text.
    fn text(&mut self, text: &str) -> Arc<str>;

    /// These labels.
    fn labels<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Labels;
}

/// Makes each anew.
#[derive(Clone, Copy, Debug)]
pub struct Fresh;

impl Texts for Fresh {
    fn text(&mut self, text: &str) -> Arc<str> {
        text.into()
    }

    fn labels<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Labels {
        labels.collect()
    }
}
