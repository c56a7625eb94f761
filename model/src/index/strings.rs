//! One copy of each string.

use std::collections::HashSet;
use std::sync::Arc;

/// The strings in use, each once.
#[derive(Debug, Default)]
pub(super) struct Strings(HashSet<Arc<str>>);

impl Strings {
    /// The shared copy of `string`: never the caller's own, which might be held elsewhere.
    pub(super) fn share(&mut self, string: &str) -> Arc<str> {
        if let Some(shared) = self.0.get(string) {
            return shared.clone();
        }
        let shared: Arc<str> = string.into();
        self.0.insert(shared.clone());
        shared
    }

    /// Gives back a shared copy: the last one frees the string.
    pub(super) fn give_back(&mut self, shared: Arc<str>) {
        let Some(kept) = self.0.take(&shared) else { return };
        drop(shared);
        if Arc::strong_count(&kept) > 1 {
            self.0.insert(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_lives_as_long_as_its_copies() {
        let mut strings = Strings::default();
        let one = strings.share("app");
        let two = strings.share("app");
        assert!(Arc::ptr_eq(&one, &two));
        strings.give_back(one);
        assert_eq!(strings.0.len(), 1);
        strings.give_back(two);
        assert!(strings.0.is_empty());
    }
}
