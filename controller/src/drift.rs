//! Notices what others do to our table, where the kernel lets them.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use tokio::sync::mpsc::UnboundedSender;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use palisade_nft::{Event, Monitor};

use crate::input::Input;

/// Tells the agent, on a thread of its own, whenever somebody else changes the table, or may have, as `monitor` hears it.
///
/// # Errors
/// Where there can be no further thread.
pub fn watch(monitor: Monitor, inputs: UnboundedSender<Input>) -> io::Result<()> {
    thread::Builder::new().name("drift".to_owned()).spawn(move || listen(monitor, &inputs))?;
    Ok(())
}

fn listen(mut monitor: Monitor, inputs: &UnboundedSender<Input>) {
    loop {
        let by = match monitor.try_next() {
            Ok(Some(Event::NewGeneration { pid, process, touched: true, .. })) => {
                format!("process {pid} ({process})")
            }
            Ok(Some(Event::NewGeneration { .. })) => continue,
            Ok(Some(Event::Lost)) => "events were lost".to_owned(),
            Ok(None) => match wait(&monitor) {
                Ok(()) => continue,
                Err(error) => {
                    return tracing::error!(%error, "changes by others are noticed by the periodic check alone");
                }
            },
            Err(error) => return tracing::error!(%error, "changes by others are noticed by the periodic check alone"),
        };
        if inputs.send(Input::Disturbed(by)).is_err() {
            return;
        }
    }
}

fn wait(monitor: &Monitor) -> nix::Result<()> {
    let mut ready = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
    match poll(&mut ready, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}
