use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Everything that is wrong with a directory of manifests: never empty.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ReadErrors(pub Vec<ReadError>);

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ReadError {
    /// Where it is.
    pub place: Place,
    /// The object, where it is known: `NetworkPolicy shop/web`.
    pub object: Option<String>,
    /// The field, where there is one: a path like `spec.ingress[0].from[1].ipBlock.cidr`.
    pub field: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file or directory.
    pub file: PathBuf,
    /// Which of the file's documents, from 1; those that hold nothing are not counted.
    pub document: Option<usize>,
    /// The line in the file, from 1.
    pub line: Option<u64>,
}

impl ReadError {
    /// What is wrong with a whole file or directory.
    pub(super) fn file(file: &Path, message: impl fmt::Display) -> Self {
        let place = Place { file: file.into(), document: None, line: None };
        Self { place, object: None, field: None, message: message.to_string() }
    }
}

impl From<ReadError> for ReadErrors {
    fn from(error: ReadError) -> Self {
        Self(vec![error])
    }
}

/// One error a line.
impl fmt::Display for ReadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// `shop.yaml:14 (document 2): NetworkPolicy shop/web: spec.ingress[0].form: message`.
impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        for part in [&self.object, &self.field].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// `shop.yaml:14 (document 2)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match self.document {
            Some(document) => write!(f, " (document {document})"),
            None => Ok(()),
        }
    }
}
