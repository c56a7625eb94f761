//! What is published of the node's sandboxes.

use std::fmt;

use palisade_model::{Index, IndexSize};
use serde::{Deserialize, Serialize};

/// How many pods without one are named.
const NAMED: usize = 20;

/// How many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxFigures {
    /// Sandboxes that are judged.
    pub known: usize,
    /// Those of pods that are gone from the API.
    pub of_deleted_pods: usize,
    /// Pods of this node that have addresses, and came without the plugin.
    pub pods_without: usize,
    /// The first of them, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// What the network plugin told, and how it is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxStatus {
    /// How many there are.
    #[serde(flatten)]
    pub figures: SandboxFigures,
    /// How the plugin is installed, as a sentence; none where that is not the agent's affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

impl SandboxFigures {
    /// Those of an index of that size.
    pub fn of(index: &Index, size: &IndexSize) -> Self {
        Self {
            known: size.sandboxes,
            of_deleted_pods: size.lone_sandboxes,
            pods_without: index.unplugged().count(),
            without: index.unplugged().take(NAMED).map(ToString::to_string).collect(),
        }
    }
}

/// Nothing where the plugin is not used.
impl fmt::Display for SandboxStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figures: SandboxFigures { known, of_deleted_pods, pods_without, without }, plugin } = self;
        if let Some(plugin) = plugin {
            writeln!(f, "plugin      {plugin}")?;
        } else if *known == 0 {
            return Ok(());
        }
        let deleted = if *of_deleted_pods > 0 { format!(", {of_deleted_pods} of deleted pods") } else { String::new() };
        writeln!(f, "sandboxes   {known}{deleted}; {pods_without} pods of this node came without the plugin")?;
        let more = pods_without.saturating_sub(without.len());
        without.iter().try_for_each(|pod| writeln!(f, "without     {pod}"))?;
        if more > 0 { writeln!(f, "without     and {more} pods more") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_without_the_plugin_are_named() {
        assert_eq!(SandboxStatus::default().to_string(), "");
        let without = vec!["shop/web".to_owned()];
        let figures = SandboxFigures { known: 7, of_deleted_pods: 1, pods_without: 2, without };
        let plugin = Some("entered in /etc/cni/net.d/10-a.conflist".to_owned());
        assert_eq!(
            SandboxStatus { figures, plugin }.to_string(),
            "plugin      entered in /etc/cni/net.d/10-a.conflist\n\
             sandboxes   7, 1 of deleted pods; 2 pods of this node came without the plugin\n\
             without     shop/web\n\
             without     and 1 pods more\n"
        );
    }
}
