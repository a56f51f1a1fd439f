//! Into the workers: commands, each worker with its own box.
//!
//! A box is a locked list and an eventfd that wakes its worker. It is taken out between two
//! events of a turn, in order; nobody waits for room. What comes back goes over the [`board`]
//! (numbers) and the [`events`] (text).
//!
//! [`board`]: crate::board
//! [`events`]: crate::events

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, MutexGuard};

use fairlead_balance::Lock;
use fairlead_flow::driver::{ListenerId, Peer};
use fairlead_flow::{ChaosRun, Snapshot, Ticket, Verdict};
use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::listen::ListenSocket;

/// A listening socket and the listener of the plan that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) socket: Arc<ListenSocket>,
    pub(crate) listener: ListenerId,
    /// The listener's name, for events.
    pub(crate) name: Arc<str>,
}

/// What a worker is to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Put this configuration in force, with these sockets.
    Publish(Arc<Snapshot>, Arc<[Open]>),
    /// Begin to accept.
    Accept,
    /// Play these faults, or none any more.
    Chaos(Option<Arc<ChaosRun>>),
    /// Serve this connection, which another worker accepted.
    Adopt(OwnedFd, ListenerId, Peer),
    /// Give up what is only kept: another worker's requests are short of descriptors.
    GiveWay,
    /// What a policy in Python says to questions of this worker.
    Verdicts(Vec<(Ticket, Verdict)>),
    /// Stop gracefully: accept nothing more, finish what is under way.
    Stop,
    /// Give up what is still open, and end.
    End,
    /// Give this sign of life.
    Beat(u64),
    /// Say on the board that all before this was done.
    Report(u64),
}

/// The box of one worker.
#[derive(Debug)]
pub(crate) struct Mailbox {
    commands: Lock<Vec<Command>>,
    wake: OwnedFd,
}

impl Mailbox {
    pub(crate) fn new() -> Result<Self, Errno> {
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Mailbox { commands: Lock::new(Vec::new()), wake })
    }

    /// Gives the same commands to all, so that none of them can act on one (and hand a connection
    /// over because of it) before it is in every box.
    pub(crate) fn put_all(boxes: &[Arc<Mailbox>], command: impl Fn() -> Command) {
        let mut locked: Vec<_> = boxes.iter().map(|mailbox| mailbox.lock()).collect();
        for commands in &mut locked {
            commands.push(command());
        }
        drop(locked);
        for mailbox in boxes {
            mailbox.wake();
        }
    }

    /// Puts `command` of worker `from` into the box of worker `to`, unless a new configuration
    /// waits for `from`: then it would come to `to` after that configuration, though it belongs
    /// before it; or unless `most` commands wait for `to` already, as connections in a box have
    /// descriptors and nobody to answer them. The command comes back in these cases. `before` runs
    /// before `to` can see it.
    pub(crate) fn hand_over(
        boxes: &[Arc<Mailbox>],
        (from, to): (usize, usize),
        most: usize,
        command: Command,
        before: impl FnOnce(),
    ) -> Result<(), Command> {
        // In the same order as `put_all` locks, or both could wait for each other.
        let first = boxes[from.min(to)].lock();
        let second = boxes[from.max(to)].lock();
        let (ours, mut theirs) = if from < to { (first, second) } else { (second, first) };
        if ours.iter().any(|command| matches!(command, Command::Publish(..) | Command::Stop)) {
            return Err(command);
        }
        if theirs.len() >= most {
            return Err(command);
        }
        before();
        theirs.push(command);
        drop((ours, theirs));
        boxes[to].wake();
        Ok(())
    }

    /// Puts a command that may come at any time into this box.
    pub(crate) fn put(&self, command: Command) {
        self.lock().push(command);
        self.wake();
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<Command> {
        // Emptied before the list is: what is put in between wakes once too often, not once too
        // seldom. It fails if nothing was there to read.
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        std::mem::take(&mut *self.lock())
    }

    /// Makes the worker take a turn.
    pub(crate) fn wake(&self) {
        // It fails only when the counter is full, and then the worker is awake.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Command>> {
        self.commands.hold()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_out_in_order_and_once() {
        let boxes =
            [Arc::new(Mailbox::new().expect("box")), Arc::new(Mailbox::new().expect("box"))];
        Mailbox::put_all(&boxes[..1], || Command::Accept);
        Mailbox::put_all(&boxes, || Command::Report(7));
        assert!(Mailbox::hand_over(&boxes, (1, 0), 3, Command::Accept, || ()).is_ok());
        assert!(Mailbox::hand_over(&boxes, (1, 0), 3, Command::Accept, || ()).is_err());
        let first = boxes[0].take();
        assert!(matches!(first[..], [Command::Accept, Command::Report(7), Command::Accept]));
        assert!(matches!(boxes[1].take()[..], [Command::Report(7)]));
        assert!(boxes[0].take().is_empty());
        Mailbox::put_all(&boxes[1..], || Command::Stop);
        assert!(Mailbox::hand_over(&boxes, (1, 0), 3, Command::Accept, || ()).is_err());
        assert!(Mailbox::hand_over(&boxes, (0, 1), 3, Command::Accept, || ()).is_ok());
        assert!(boxes[0].take().is_empty());
    }
}
