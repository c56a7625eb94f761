//! Reading objects as they come by: of each only what is looked at, of a list one item after the other.
//!
//! This way knows no mistakes, and keeps no lines: where anything is out of the ordinary it gives up, and the text is read
//! [once more](super::documents) in whole, to be understood or explained. Pods, of which there are most by far, are not even
//! kept as a tree where their kind is known before anything else of them.
//!
//! Invariant: what it reads, the other way reads as the same objects (`tests/lanes.rs`); but for keys that stand twice in what
//! nobody looks at, of which it hears nothing.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::found::{Contents, Found, Keeper, Object, of_besides};
use super::item::{Item, names};
use super::kind::{Class, Kind};
use super::node::{Entry, Node, Value};
use super::part::{Key, Part, PartOf, known};
use super::schema::Schema;
use crate::convert::{Problem, Texts as _};
use crate::objects;

/// Lists within lists that are read this way.
const DEPTH: usize = 4;

/// Where an object is that is just being read.
pub(super) trait Lines {
    /// The line on which the map begins of which a key has been read last.
    fn start(&self, key: &str) -> Option<u64>;
}

/// What is read, and into what.
pub(super) struct Lean<'a, 'k> {
    pub(super) keeper: &'a mut Keeper<'k>,
    pub(super) contents: &'a mut Contents,
    pub(super) lines: &'a dyn Lines,
    /// From 1.
    pub(super) document: usize,
}

/// What is known of the list that an object is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// There is none, or one whose items name their kinds.
    Nothing,
    ListOf(Kind),
    /// Its kind comes later.
    Unknown,
}

impl Lean<'_, '_> {
    /// Reads a document.
    pub(super) fn document<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        Whole { lean: self, within: Within::Nothing, depth: 0 }.deserialize(deserializer)
    }

    fn keep<E: Error>(&mut self, node: &Node<'_>, within: Within) -> Result<(), E> {
        let within = if let Within::ListOf(kind) = within { Some(kind) } else { None };
        let item = Item { file: "".as_ref(), document: self.document, node, within };
        let (class, kind) = item.class().map_err(|_| odd::<E>("a class"))?;
        let object = match class {
            Class::Read(kind) => {
                let id = item.id(kind).map_err(|_| odd::<E>("a name"))?;
                self.keeper.object(item, kind, id)
            }
            Class::Skip => {
                self.contents.skipped.push(self.keeper.strings.text(kind));
                self.keeper.besides(item, kind)
            }
            Class::List | Class::ListOf(_) => Ok(Object::Nothing),
        };
        self.found(node.line, object)
    }

    fn keep_pod<E: Error>(&mut self, pod: &objects::Pod<PartOf<'_>>, line: Option<u64>) -> Result<(), E> {
        let metadata = &pod.metadata;
        let names = names(Kind::Pod, metadata.namespace.as_deref(), metadata.name.as_deref());
        let (namespace, _) = names.map_err(|_| odd::<E>("a name"))?;
        let object = self.keeper.pod(pod, namespace);
        if let Ok(Object::Pod(kept)) = &object
            && kept.labels.len() < metadata.labels.as_ref().map_or(0, |labels| labels.0.len())
        {
            return Err(odd("a label again"));
        }
        self.found(line, object)
    }

    fn found<E: Error>(&mut self, line: Option<u64>, object: Result<Object, Vec<Problem>>) -> Result<(), E> {
        let object = object.map_err(|_| odd::<E>("an object"))?;
        self.contents.found.push(Found { document: self.document, line, object });
        Ok(())
    }
}

/// What comes of a pod after its kind.
#[derive(Deserialize)]
struct RestOfPod<S> {
    #[serde(default, rename = "apiVersion", alias = "kind")]
    _again: Again,
    metadata: objects::Metadata<S>,
    spec: Option<objects::PodSpec<S>>,
    status: Option<objects::PodStatus<S>>,
}

impl<S> From<RestOfPod<S>> for objects::Pod<S> {
    fn from(RestOfPod { metadata, spec, status, .. }: RestOfPod<S>) -> Self {
        Self { metadata, spec, status }
    }
}

/// A field that must not come, because it has come.
#[derive(Default)]
struct Again;

impl<'de> Deserialize<'de> for Again {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(odd("a key again"))
    }
}

pub(super) fn odd<E: Error>(what: &str) -> E {
    E::custom(what)
}

/// One object, whatever it is.
struct Whole<'b, 'a, 'k> {
    lean: &'b mut Lean<'a, 'k>,
    within: Within,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Whole<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth > DEPTH {
            return Err(odd("lists within lists"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut so_far = SoFar { within: self.within, line: None, entries: Vec::new(), class: None, listed: false };
        so_far.class = so_far.class_now();
        let mut first = true;
        while let Some(key) = map.next_key_seed(Key)? {
            if std::mem::take(&mut first) {
                so_far.line = self.lean.lines.start(&key);
            }
            so_far.expect_new::<A::Error>(&key)?;
            match so_far.wanted(&key) {
                Wanted::Part(schema) => {
                    let node = map.next_value_seed(Part::new(schema))?;
                    so_far.add::<A::Error>(key, node)?;
                    if so_far.is_pod() {
                        let rest = RestOfPod::<PartOf<'de>>::deserialize(MapAccessDeserializer::new(map))?;
                        return self.lean.keep_pod(&rest.into(), so_far.line);
                    }
                }
                Wanted::Items(within) => {
                    so_far.listed = true;
                    map.next_value_seed(Items { lean: &mut *self.lean, within, depth: self.depth })?;
                }
                Wanted::Nothing => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let is_list = matches!(so_far.class, Some(Class::List | Class::ListOf(_)));
        if so_far.class.is_none() || is_list != so_far.listed {
            return Err(odd("a list"));
        }
        let node = Node { line: so_far.line, value: Value::Map(so_far.entries) };
        self.lean.keep(&node, self.within)
    }
}

/// The items of a list.
struct Items<'b, 'a, 'k> {
    lean: &'b mut Lean<'a, 'k>,
    within: Within,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { lean, within, depth } = self;
        while items.next_element_seed(Whole { lean: &mut *lean, within, depth: depth + 1 })?.is_some() {}
        Ok(())
    }
}

/// An object of which a part has been read.
struct SoFar<'de> {
    within: Within,
    line: Option<u64>,
    entries: Vec<Entry<'de>>,
    /// As soon as it is known.
    class: Option<Class>,
    /// Whether items have been read.
    listed: bool,
}

/// What of a value is of interest.
enum Wanted {
    Part(&'static Schema),
    Items(Within),
    Nothing,
}

impl<'de> SoFar<'de> {
    fn expect_new<E: Error>(&self, key: &str) -> Result<(), E> {
        let again = self.entries.iter().any(|entry| entry.key == key) || self.listed && key == "items";
        if again { Err(odd("a key again")) } else { Ok(()) }
    }

    /// Whether it is said to be a pod, and nothing else yet.
    fn is_pod(&self) -> bool {
        let is_said = ["apiVersion", "kind"].into_iter().all(|key| self.text(key).is_some());
        is_said && self.entries.len() == 2 && self.class == Some(Class::Read(Kind::Pod))
    }

    fn wanted(&self, key: &str) -> Wanted {
        match (self.class, key) {
            (_, "apiVersion" | "kind") => Wanted::Part(&Schema::Any),
            (None, "items") => Wanted::Items(Within::Unknown),
            (Some(Class::List), "items") => Wanted::Items(Within::Nothing),
            (Some(Class::ListOf(kind)), "items") => Wanted::Items(Within::ListOf(kind)),
            (None, _) => Wanted::Part(&Schema::Any),
            (Some(Class::List | Class::ListOf(_)), _) => Wanted::Nothing,
            (Some(Class::Skip), _) => {
                let schema = of_besides(self.text("apiVersion"), self.text("kind").unwrap_or_default());
                schema.and_then(|schema| schema.of_field(key)).map_or(Wanted::Nothing, Wanted::Part)
            }
            // A field that is not known is kept where that is a mistake.
            (Some(Class::Read(kind)), _) => known(kind.schema(), key).map_or(Wanted::Nothing, Wanted::Part),
        }
    }

    fn add<E: Error>(&mut self, key: Cow<'de, str>, node: Node<'de>) -> Result<(), E> {
        let tells = matches!(&*key, "apiVersion" | "kind");
        self.entries.push(Entry { line: None, key, node });
        let class = if tells { self.class_now() } else { self.class };
        // It has been read as another one.
        let changes = self.class.is_some() && class != self.class;
        self.class = class;
        if changes { Err(odd("another class")) } else { Ok(()) }
    }

    fn text(&self, key: &str) -> Option<&str> {
        match &self.entries.iter().find(|entry| entry.key == key)?.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn class_now(&self) -> Option<Class> {
        let inherited = if let Within::ListOf(kind) = self.within { Some(kind) } else { None };
        let version = self.text("apiVersion").or(inherited.map(Kind::api_version))?;
        let kind = self.text("kind").or(inherited.map(Kind::name))?;
        Class::of(version, kind).ok()
    }
}
