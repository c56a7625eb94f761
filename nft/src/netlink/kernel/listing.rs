use std::thread;
use std::time::Duration;

use super::Kernel;
use super::failure::failed;
use crate::netlink::attributes::Writer;
use crate::netlink::constants::*;
use crate::netlink::message::Message;
use crate::netlink::read::{self, Contents, Listed, TableState};
use crate::netlink::socket::Failure;
use crate::netlink::{encode, object, set};
use crate::{Backend, BackendError, Elements, ElementsKind, Name};

/// How often a listing is begun that changes overtake, before that is an error.
const ATTEMPTS: usize = 50;
/// How long the kernel is given to finish what makes a listing useless.
const PAUSE: Duration = Duration::from_millis(10);

/// What the kernel is asked.
impl Kernel {
    pub(super) fn table(&mut self) -> Result<Option<TableState>, Failure> {
        let request = self.about_table(NFT_MSG_GETTABLE, NLM_F_ACK, |_| {});
        match self.channel.request(&request) {
            Ok(answer) => Ok(read::table(&answer, &self.table)?),
            Err(Failure::Refused(reply)) if reply.errno == libc::ENOENT => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) fn contents(&mut self) -> Result<Option<Contents>, Failure> {
        let Some(table) = self.table()? else { return Ok(None) };
        let chains = read::chains(&self.dump(NFT_MSG_GETCHAIN)?, &self.table)?;
        let sets = read::sets(&self.dump(NFT_MSG_GETSET)?, &self.table)?;
        let sets = sets.into_iter().map(|found| self.with_elements(found)).collect::<Result<_, _>>()?;
        let rules = read::rules(&self.dump(NFT_MSG_GETRULE)?, &self.table)?;
        let objects = self.objects()?;
        let flowtables = read::flowtables(&self.dump(NFT_MSG_GETFLOWTABLE)?, &self.table)?;
        Ok(Some(Contents { table, chains, sets, rules, objects, flowtables }))
    }

    pub(super) fn objects(&mut self) -> Result<Vec<object::Found>, Failure> {
        Ok(read::stateful(&self.dump(NFT_MSG_GETOBJ)?, &self.table)?)
    }

    fn with_elements(&mut self, found: set::Found) -> Result<(set::Found, Option<Elements>), Failure> {
        let elements = match &found {
            set::Found::Own { name, kind, .. } => self.elements(name, *kind)?,
            set::Found::Foreign { .. } | set::Found::OfRule => None,
        };
        Ok((found, elements))
    }

    fn elements(&mut self, set: &Name, kind: ElementsKind) -> Result<Option<Elements>, Failure> {
        let name = |message: &mut Writer| message.text(NFTA_SET_ELEM_LIST_SET, set.as_str());
        let request = self.about_table(NFT_MSG_GETSETELEM, NLM_F_DUMP, name);
        for _ in 0..ATTEMPTS {
            match read::elements(&self.channel.request(&request)?, &self.table, kind)? {
                Listed::Whole(elements) => return Ok(Some(elements)),
                Listed::Foreign => return Ok(None),
                Listed::Torn => thread::sleep(PAUSE),
            }
        }
        Err(Failure::Interrupted)
    }

    /// Lists the objects of the table that `NFT_MSG_GET...` is for. Old kernels list those of other tables, too.
    pub(super) fn dump(&mut self, kind: u8) -> Result<Vec<u8>, Failure> {
        let request = self.about_table(kind, NLM_F_DUMP, |_| {});
        self.channel.request(&request)
    }

    fn about_table(&self, kind: u8, flags: u16, content: impl FnOnce(&mut Writer)) -> Message {
        encode::message(kind, flags, &self.table, content).expect("two names are short")
    }

    pub(super) fn ask_generation(&mut self) -> Result<u32, Failure> {
        let request =
            Message::new(NFT_MSG_GETGEN, NLM_F_ACK, self.table.family, Writer::default()).expect("nothing is short");
        Ok(read::generation(&self.channel.request(&request)?)?)
    }

    /// What `list` gives when no change comes between its requests.
    pub(super) fn consistently<T>(
        &mut self,
        mut list: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, BackendError> {
        let what = format!("list table {}", self.table);
        for _ in 0..ATTEMPTS {
            let before = self.generation()?;
            let listed = list(self);
            match listed {
                Err(Failure::Interrupted) => {}
                listed if self.generation()? == before => return listed.map_err(|failure| failed(&what, failure)),
                _ => {}
            }
        }
        Err(failed(&what, Failure::Interrupted))
    }
}
