//! What the line says so far.

use std::path::PathBuf;

/// The words of the line, the program's own name included.
#[derive(Debug)]
pub(super) struct Line(Vec<String>);

impl Line {
    /// What this process was started with: a shell gives the line behind `--`, kubectl as it is.
    pub(super) fn of_process() -> Self {
        Self(std::env::args_os().filter_map(|word| word.into_string().ok()).collect())
    }

    /// The value of an option: `--name VALUE`, `--name=VALUE`; or of a short one `-n VALUE`.
    pub(super) fn option(&self, names: &[&str]) -> Option<&str> {
        let is_long = |word: &str| names.contains(&word);
        let joined =
            |word: &'_ str| word.split_once('=').filter(|(name, _)| is_long(name)).map(|(name, _)| name.len() + 1);
        let found = self.0.iter().enumerate().find_map(|(at, word)| match joined(word) {
            Some(start) => word.get(start..),
            None => self.0.get(at + 1).filter(|_| is_long(word)).map(String::as_str),
        });
        found.filter(|value| !value.is_empty() && !value.starts_with('-'))
    }

    /// The same, of a file or directory.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.option(&[name]).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_either_form() {
        let line = |text: &str| Line(text.split(' ').map(str::to_owned).collect());
        let of = |text: &str| line(text).option(&["-n", "--namespace"]).map(str::to_owned);
        assert_eq!(of("palisade explain -n shop --from w"), Some("shop".to_owned()));
        assert_eq!(of("palisade explain --namespace=shop --from w"), Some("shop".to_owned()));
        assert_eq!(of("palisade explain --namespace shop"), Some("shop".to_owned()));
        for none in ["palisade explain -n", "palisade explain -n --from", "palisade explain --names shop"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(line("p --manifests dir --from").path("--manifests"), Some(PathBuf::from("dir")));
    }
}
