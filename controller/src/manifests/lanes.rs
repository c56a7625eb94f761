//! A file is read leanly where all is well, and thoroughly where something is to be explained.

use std::path::Path;

use super::document::{SyntaxError, documents};
use super::error::{Place, ReadError};
use super::found::{Contents, Found, Keeper, Object};
use super::item::{Item, problem};
use super::json::NotRead;
use super::kind::{Class, Kind};
use super::node::Value;
use super::{json, yaml};
use crate::convert::{Problem, Texts as _};

/// What is in a text, and what is wrong with it.
pub(super) fn contents(file: &Path, text: &str, keeper: &mut Keeper<'_>) -> Contents {
    if text.trim().is_empty() {
        let empty = ReadError::file(file, "is empty, perhaps still being written: fill or remove it");
        return Contents { errors: vec![empty], ..Contents::default() };
    }
    if !json::is_json(text) {
        return yaml::read(text, keeper).unwrap_or_else(|_| thorough(file, text, keeper));
    }
    match json::read(text, keeper) {
        Ok(contents) => contents,
        Err(not_read) if not_read.is_cut => no_json(file, &not_read),
        Err(not_read) => {
            let contents = thorough(file, text, keeper);
            // Most of what is no JSON is meant to be some: YAML is what is said of it only where it is that.
            let is_nothing = contents.found.is_empty() && not_read.is_syntax;
            if is_nothing && contents.errors.len() == 1 { no_json(file, &not_read) } else { contents }
        }
    }
}

fn no_json(file: &Path, not_read: &NotRead) -> Contents {
    let place = Place { file: file.into(), document: Some(1), line: Some(not_read.line) };
    let message = format!("is not valid JSON: {}", not_read.message);
    let error = ReadError { place, object: None, field: None, message };
    Contents { errors: vec![error], ..Contents::default() }
}

/// The other way to read it: everything is kept, with its lines.
pub(super) fn thorough(file: &Path, text: &str, keeper: &mut Keeper<'_>) -> Contents {
    let mut thorough = Thorough { keeper, contents: Contents::default() };
    for (i, document) in documents(text).into_iter().enumerate() {
        let document_number = i + 1;
        match document {
            Ok(node) => thorough.item(Item { file, document: document_number, node: &node, within: None }),
            Err(SyntaxError { line, message }) => {
                let place = Place { file: file.into(), document: Some(document_number), line };
                let message = format!("is not valid YAML: {message}");
                thorough.contents.errors.push(ReadError { place, object: None, field: None, message });
            }
        }
    }
    thorough.contents
}

struct Thorough<'b, 'a> {
    keeper: &'b mut Keeper<'a>,
    contents: Contents,
}

impl Thorough<'_, '_> {
    fn item(&mut self, item: Item<'_>) {
        match item.class() {
            Err(problem) => self.refuse(item, None, problem),
            Ok((Class::Skip, kind)) => self.besides(item, kind),
            Ok((Class::List, _)) => self.list(item, None),
            Ok((Class::ListOf(kind), _)) => self.list(item, Some(kind)),
            Ok((Class::Read(kind), _)) => self.object(item, kind),
        }
    }

    fn list(&mut self, list: Item<'_>, within: Option<Kind>) {
        match list.node.get("items").map(|entry| &entry.node.value) {
            Some(Value::List(items)) => {
                items.iter().for_each(|node| self.item(Item { node, within, ..list }));
                self.found(list, Object::Nothing);
            }
            Some(_) => self.refuse(list, None, problem("items", "must be a list ([] for an empty one)")),
            None => self.refuse(list, None, problem("items", "is missing: a list has items ([] for none)")),
        }
    }

    fn object(&mut self, item: Item<'_>, kind: Kind) {
        let id = match item.id(kind) {
            Ok(id) => id,
            Err(problem) => return self.refuse(item, Some(kind.to_string()), problem),
        };
        let title = kind.title(&id);
        match self.keeper.object(item, kind, id) {
            Ok(object) => self.found(item, object),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.refuse(item, Some(title.clone()), problem));
            }
        }
    }

    fn besides(&mut self, item: Item<'_>, kind: &str) {
        self.contents.skipped.push(self.keeper.strings.text(kind));
        match self.keeper.besides(item, kind) {
            Ok(object) => self.found(item, object),
            Err(problems) => {
                let title = item.id(Kind::Pod).map_or_else(|_| kind.to_owned(), |id| format!("{kind} {id}"));
                let error = |problem| ReadError { object: Some(title.clone()), ..item.error(problem) };
                self.contents.errors_besides.extend(problems.into_iter().map(error));
                self.found(item, Object::Nothing);
            }
        }
    }

    fn found(&mut self, item: Item<'_>, object: Object) {
        self.contents.found.push(Found { document: item.document, line: item.node.line, object });
    }

    fn refuse(&mut self, item: Item<'_>, object: Option<String>, problem: Problem) {
        self.contents.errors.push(ReadError { object, ..item.error(problem) });
    }
}

#[cfg(test)]
mod tests;
