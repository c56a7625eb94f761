//! Configurations as text: with the plugin in them, and without.

use palisade_cni::{PLUGIN, VERSIONS};
use serde_json::{Map, Value, json};

use super::Entry;

/// The configuration as a list with the plugin as its last; `None` where it is that already. `is_list`: as the file's name
/// says.
///
/// # Errors
/// What is not understood.
pub(super) fn enter(text: &str, is_list: bool, entry: &Entry) -> Result<Option<String>, String> {
    let mut list = if is_list { parse(text)? } else { as_list(parse(text)?)? };
    let version = list.get("cniVersion").and_then(Value::as_str).unwrap_or("0.1.0");
    if !VERSIONS.contains(&version) {
        return Err(format!("its cniVersion is {version}; {PLUGIN} knows {}", VERSIONS.join(", ")));
    }
    let plugins = plugins(&mut list)?;
    let ours = ours(entry);
    let is_entered = plugins.last() == Some(&ours) && plugins.iter().filter(|plugin| is_us(plugin)).count() == 1;
    if is_list && is_entered {
        return Ok(None);
    }
    plugins.retain(|plugin| !is_us(plugin));
    if plugins.is_empty() {
        return Err("it has no plugin that gives addresses".to_owned());
    }
    plugins.push(ours);
    Ok(Some(print(&list)))
}

/// The list without the plugin; `None` where it is not in it, or the list is not understood.
pub(super) fn leave(text: &str) -> Option<String> {
    let mut list = parse(text).ok()?;
    let plugins = plugins(&mut list).ok().filter(|plugins| plugins.iter().any(is_us))?;
    plugins.retain(|plugin| !is_us(plugin));
    Some(print(&list))
}

/// Whether it is a list with the plugin in it.
pub(super) fn holds_us(text: &str) -> bool {
    leave(text).is_some()
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))
}

/// A single configuration is a list of one.
fn as_list(mut single: Map<String, Value>) -> Result<Map<String, Value>, String> {
    if !single.get("type").is_some_and(Value::is_string) {
        return Err("it names no `type` of plugin".to_owned());
    }
    let mut list = Map::new();
    for shared in ["cniVersion", "name"] {
        list.extend(single.remove(shared).map(|value| (shared.to_owned(), value)));
    }
    list.insert("plugins".to_owned(), json!([single]));
    Ok(list)
}

fn plugins(list: &mut Map<String, Value>) -> Result<&mut Vec<Value>, String> {
    let plugins = list.get_mut("plugins").and_then(Value::as_array_mut).ok_or("it has no list of `plugins`")?;
    let is_plugin = |plugin: &Value| plugin.get("type").is_some_and(Value::is_string);
    if plugins.iter().all(is_plugin) { Ok(plugins) } else { Err("one of its plugins has no `type`".to_owned()) }
}

fn is_us(plugin: &Value) -> bool {
    plugin.get("type").and_then(Value::as_str) == Some(PLUGIN)
}

fn ours(entry: &Entry) -> Value {
    let mut ours = serde_json::to_value(entry).expect("paths that were given as text, and numbers, are JSON");
    ours["type"] = PLUGIN.into();
    ours
}

fn print(list: &Map<String, Value>) -> String {
    let text = serde_json::to_string_pretty(list).expect("what was JSON is JSON");
    format!("{text}\n")
}
