//! Bytes that go from one connection to another without being told.
//!
//! Not here: how many at a time, and how fast they come (`connection`).

use fairlead_flow::driver::ConnId;

use super::Sockets;
use crate::connection::{Connection, Drawn, Rested, Told, REST};
use crate::sys::poll::Poller;

impl Sockets {
    /// Moves some bytes on to where they go; `None`: there are none now, or they have to be told.
    pub(super) fn forward_some(&mut self, id: ConnId) -> Option<Told> {
        let target = self.slots.get(id)?.forward.as_ref()?.to;
        self.settle(target);
        let takes = self.slots.get(target).is_some_and(Connection::takes);
        let connection = self.slots.get_mut(id)?;
        let Some(mut pipe) = self.pipes.lend().filter(|_| takes) else {
            connection.forward_to(None);
            return None;
        };
        let (moved, width) = match connection.draw(&mut pipe) {
            Drawn::Bytes(moved) => (moved, connection.note_moved(moved, self.now)),
            Drawn::NothingNow => {
                if connection.rests_without(self.now) {
                    self.rest(id);
                }
                return None;
            }
            Drawn::NotSo => {
                connection.forward_to(None);
                return None;
            }
        };
        if connection.rests_after(moved, self.now) {
            self.rest(id);
        }
        let to = self.slots.get_mut(target)?;
        to.widen(width);
        let sent = to.pour(pipe);
        if to.is_broken() {
            self.list(target);
        }
        Some(Told::Forwarded(moved, sent))
    }

    /// Looks at it after a rest.
    fn rest(&mut self, id: ConnId) {
        self.resting.push_back((self.now + REST, id));
    }

    /// Looks at those whose bytes have gathered for long enough.
    pub(super) fn look_at_resting(&mut self) {
        while let Some(&(at, id)) = self.resting.front() {
            if at > self.now {
                return;
            }
            self.resting.pop_front();
            let connection = self.slots.get_mut(id);
            match connection.map_or(Rested::NoMore, |it| it.look_after_rest(self.now)) {
                Rested::Enough => self.list(id),
                Rested::NotYet => self.rest(id),
                Rested::NoMore => {}
            }
        }
    }
}

/// Has the poller tell of all of a connection again.
pub(super) fn unmute(poller: &Poller, connection: &mut Connection, id: ConnId) {
    if connection.unmutes() {
        let _ = poller.tell_all(&connection.socket, id);
    }
}
