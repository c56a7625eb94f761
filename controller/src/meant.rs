//! Names that were probably meant.

use std::collections::BTreeSet;

use palisade_model::NamespacedName;

use crate::manifests::nearest;
use crate::text::some_of;

/// How many names are told.
const FEW: usize = 3;

/// `: did you mean shop?`, where one of the names is near.
pub(crate) fn meant(word: &str, names: impl IntoIterator<Item = String>) -> String {
    let names: BTreeSet<String> = names.into_iter().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    nearest(word, &names).map(|name| format!(": did you mean {name}?")).unwrap_or_default()
}

/// The same of a name in a namespace: that name in another one, those that begin with it and a hyphen (the pods of a
/// workload), or the nearest.
pub(crate) fn meant_name<'a>(
    wanted: &NamespacedName,
    known: impl Iterator<Item = &'a NamespacedName> + Clone,
) -> String {
    let begins = |name: &str| name.strip_prefix(&*wanted.name).is_some_and(|rest| rest.starts_with('-'));
    let elsewhere = known.clone().filter(|one| one.name == wanted.name);
    let of_workload = known.clone().filter(|one| one.namespace == wanted.namespace && begins(&one.name));
    for found in [elsewhere.collect::<Vec<_>>(), of_workload.collect()] {
        if !found.is_empty() {
            return format!(": did you mean {}?", some_of(&found, FEW, 300, ", "));
        }
    }
    // Of a whole `namespace/name` much is alike where the names are not.
    let names: BTreeSet<&str> = known.filter(|one| one.namespace == wanted.namespace).map(|one| &*one.name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let near = nearest(&wanted.name, &names);
    near.map(|name| format!(": did you mean {}/{name}?", wanted.namespace)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told() {
        let ids: Vec<NamespacedName> =
            [("shop", "db"), ("shop", "web-5d4-a"), ("shop", "web-5d4-b"), ("blog", "frontend")]
                .map(|(namespace, name)| NamespacedName::new(namespace, name))
                .to_vec();
        let meant = |namespace: &str, name: &str| meant_name(&NamespacedName::new(namespace, name), ids.iter());
        assert_eq!(meant("blog", "db"), ": did you mean shop/db?", "it is in another namespace");
        assert_eq!(meant("shop", "web"), ": did you mean shop/web-5d4-a, shop/web-5d4-b?", "a workload's pods");
        assert_eq!(meant("blog", "fronted"), ": did you mean blog/frontend?");
        assert_eq!(meant("shpo", "db"), ": did you mean shop/db?");
        assert_eq!((meant("nowhere", "nothing"), meant("shop", "api")), (String::new(), String::new()));
        assert_eq!(super::meant("shp", ["shop".to_owned(), "blog".to_owned()]), ": did you mean shop?");
    }
}
