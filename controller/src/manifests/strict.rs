//! Files of our own forms, read as strictly as manifests.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::checked::Checked;
use super::document::documents;
use super::error::{Place, ReadError, ReadErrors};
use super::node::{Node, Value};
use super::schema::Schema;
use crate::convert::Problem;

/// One document of a file: what it says, and where.
#[derive(Debug)]
pub(crate) struct Document<T> {
    pub(crate) value: T,
    place: Place,
    node: Node<'static>,
}

/// The documents of a text, each of the form of `schema`, which is a `noun`.
///
/// # Errors
/// All that is wrong in any of them, or that there is none.
pub(crate) fn strict<T: DeserializeOwned>(
    file: &Path,
    text: &str,
    schema: &Schema,
    noun: &str,
) -> Result<Vec<Document<T>>, ReadErrors> {
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    for (i, document) in documents(text).into_iter().enumerate() {
        let place = |line| Place { file: file.into(), document: (i > 0).then_some(i + 1), line };
        match document {
            Ok(node) => match one(node, schema, noun, place(None)) {
                Ok(document) => read.push(document),
                Err(of_document) => errors.extend(of_document),
            },
            Err(error) => {
                let message = format!("is not valid YAML: {}", error.message);
                errors.push(ReadError { place: place(error.line), object: None, field: None, message });
            }
        }
    }
    if read.is_empty() && errors.is_empty() {
        errors.push(ReadError::file(file, format!("is empty: it has to hold a {noun}")));
    }
    if errors.is_empty() { Ok(read) } else { Err(ReadErrors(errors)) }
}

fn one<T: DeserializeOwned>(
    node: Node<'static>,
    schema: &Schema,
    noun: &str,
    place: Place,
) -> Result<Document<T>, Vec<ReadError>> {
    let checked = Checked::new(schema, &node, noun).and_then(|checked| checked.read().map_err(|problem| vec![problem]));
    match checked {
        Ok(value) => Ok(Document { value, place, node }),
        Err(problems) => {
            let document = Document { value: (), place, node };
            Err(problems.into_iter().map(|problem| document.error(problem)).collect())
        }
    }
}

impl<T> Document<T> {
    /// Where a field is.
    pub(crate) fn place(&self, field: &str) -> Place {
        let line = if field.is_empty() { self.node.line } else { self.node.line_of(field) };
        Place { line, ..self.place.clone() }
    }

    /// Whether a list is written at `field`, which may be one without brackets.
    pub(crate) fn is_list(&self, field: &str) -> bool {
        self.node.at(field).is_some_and(|node| matches!(node.value, Value::List(_)))
    }

    pub(crate) fn error(&self, problem: Problem) -> ReadError {
        let place = self.place(&problem.field);
        let field = Some(problem.field).filter(|field| !field.is_empty());
        ReadError { place, object: None, field, message: problem.message }
    }
}
