use std::fmt;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// An `ipBlock`: a CIDR and the parts of it that are left out.
///
/// Host bits are normalised; every exception is a strict subset of the CIDR, in ascending order, each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpBlock {
    cidr: IpNet,
    except: Box<[IpNet]>,
}

/// Why an `ipBlock` was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IpBlockError {
    /// An exception that is no strict subset of the block (the API server refuses it too).
    #[error("except {except} is not a strict subset of the block's cidr {cidr}")]
    NotWithin {
        /// The block's CIDR.
        cidr: IpNet,
        /// The exception.
        except: IpNet,
    },
}

/// All addresses of each family.
pub(crate) fn everything() -> [IpNet; 2] {
    [Ipv4Net::default().into(), Ipv6Net::default().into()]
}

impl From<IpNet> for IpBlock {
    fn from(cidr: IpNet) -> Self {
        Self { cidr: cidr.trunc(), except: [].into() }
    }
}

impl IpBlock {
    /// The block `cidr` without `except`.
    ///
    /// # Errors
    /// [`IpBlockError::NotWithin`] for an exception of another family, outside `cidr`, or as large as it.
    pub fn new(cidr: IpNet, except: impl IntoIterator<Item = IpNet>) -> Result<Self, IpBlockError> {
        let cidr = cidr.trunc();
        let mut except: Vec<IpNet> = except.into_iter().map(|net| net.trunc()).collect();
        except.sort();
        except.dedup();
        match except.iter().find(|net| !cidr.contains(*net) || **net == cidr) {
            Some(&except) => Err(IpBlockError::NotWithin { cidr, except }),
            None => Ok(Self { cidr, except: except.into() }),
        }
    }

    /// The CIDR.
    pub fn cidr(&self) -> IpNet {
        self.cidr
    }

    /// What the block leaves out.
    pub fn except(&self) -> &[IpNet] {
        &self.except
    }
}

/// `10.0.0.0/8` or `10.0.0.0/8 except 10.1.0.0/16,10.2.0.0/16`.
impl fmt::Display for IpBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cidr)?;
        for (i, net) in self.except.iter().enumerate() {
            write!(f, "{}{net}", if i == 0 { " except " } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(s: &str) -> IpNet {
        s.parse().unwrap()
    }

    #[test]
    fn host_bits_are_normalised() {
        let block = IpBlock::new(net("10.1.2.3/8"), [net("10.9.9.9/16")]).unwrap();
        assert_eq!(block.to_string(), "10.0.0.0/8 except 10.9.0.0/16");
    }

    #[test]
    fn an_exception_must_be_a_strict_subset() {
        for except in ["11.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "fd00::/64"] {
            assert!(IpBlock::new(net("10.0.0.0/8"), [net(except)]).is_err(), "{except}");
        }
    }
}
