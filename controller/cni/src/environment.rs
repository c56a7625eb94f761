//! What the runtime says in the environment.

use crate::{AttachmentId, CniError, Code};

/// The variables of the specification, as far as they are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub command: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub interface: String,
    /// `CNI_ARGS`.
    pub arguments: String,
}

impl Environment {
    /// That of this process.
    pub fn current() -> Self {
        let get =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            command: get("CNI_COMMAND"),
            container: get("CNI_CONTAINERID"),
            netns: get("CNI_NETNS"),
            interface: get("CNI_IFNAME"),
            arguments: get("CNI_ARGS"),
        }
    }

    /// Which attachment this is about.
    ///
    /// # Errors
    /// Where the names are not as the specification wants them.
    pub fn attachment(&self) -> Result<AttachmentId, CniError> {
        let id = AttachmentId { container: self.container.clone(), interface: self.interface.clone() };
        let wrong = |_| {
            let msg = format!("CNI_CONTAINERID `{}` or CNI_IFNAME `{}` is not valid", id.container, id.interface);
            CniError::new(Code::INVALID_ENVIRONMENT, msg)
        };
        id.check().map_err(wrong)?;
        Ok(id)
    }

    /// An argument that has a value: `K8S_POD_NAME`.
    pub fn argument(&self, name: &str) -> Option<&str> {
        let pairs = self.arguments.split(';').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value).next_back()
    }
}
