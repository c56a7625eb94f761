//! What an attachment of a container to a network is called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A container's interface: the runtime's name of the container, and the interface's in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachmentId {
    /// `CNI_CONTAINERID`.
    #[serde(rename = "containerID")]
    pub container: String,
    /// `CNI_IFNAME`.
    #[serde(rename = "ifname")]
    pub interface: String,
}

/// Such names do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileNameError;

impl AttachmentId {
    /// Longer ones would not fit into a file's name with the rest.
    const LONGEST: usize = 200;

    /// Whether both names are as the specification wants them; then the id is a file's name, too.
    ///
    /// # Errors
    /// Where they are not.
    pub fn check(&self) -> Result<(), FileNameError> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let container = &self.container;
        let good_container = container.starts_with(|c: char| c.is_ascii_alphanumeric())
            && container.chars().all(is_word)
            && container.len() <= Self::LONGEST;
        let interface = &self.interface;
        let good_interface = (1..16).contains(&interface.len())
            && ![".", ".."].contains(&&**interface)
            && interface.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != ':');
        (good_container && good_interface).then_some(()).ok_or(FileNameError)
    }
}

/// `CONTAINER:INTERFACE`: neither of them has a colon.
impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.container, self.interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_files_name() {
        let check = |container: &str, interface: &str| {
            AttachmentId { container: container.to_owned(), interface: interface.to_owned() }.check()
        };
        assert_eq!(check("0a1b-2.c_d", "eth0"), Ok(()));
        for (container, interface) in [
            ("", "eth0"),
            ("../x", "eth0"),
            ("a/b", "eth0"),
            (".a", "eth0"),
            ("a", ""),
            ("a", ".."),
            ("a", "e/0"),
            ("a", "e:0"),
            ("a", "e 0"),
            ("a", "sixteen-letters-"),
            (&"a".repeat(201), "eth0"),
        ] {
            assert_eq!(check(container, interface), Err(FileNameError), "{container} {interface}");
        }
    }
}
