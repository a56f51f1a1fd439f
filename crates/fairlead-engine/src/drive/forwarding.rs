//! Bytes that go from one connection to another without being told.
//!
//! Not here: how many at a time, and how fast they come (`connection`).

use fairlead_flow::driver::ConnId;

use super::Sockets;
use crate::connection::{Connection, Drawn, Rested, Told, REST};

impl Sockets {
    /// Moves some bytes on to where they go; `None`: there are none now, or they have to be told.
    pub(super) fn forward_some(&mut self, id: ConnId) -> Option<Told> {
        let target = self.slots.get(id)?.forward.as_ref()?.to;
        self.settle(target);
        let takes = self.slots.get(target).is_some_and(Connection::takes);
        let connection = self.slots.get_mut(id)?;
        // Taken out, and put back while it is worth it: small pieces are copied for less.
        let mut forward = connection.forward.take()?;
        let Some(mut pipe) = self.pipes.lend().filter(|_| takes) else {
            connection.end_forward(&forward);
            return None;
        };
        let moved = match connection.draw(&mut pipe, forward.at_once() as usize) {
            Drawn::Bytes(moved) => moved,
            Drawn::NothingNow => {
                if connection.miss_forward(forward, self.now) {
                    self.resting.push_back((self.now + REST, id));
                }
                return None;
            }
            Drawn::NotSo => {
                connection.end_forward(&forward);
                return None;
            }
        };
        let width = forward.note(moved, self.now);
        if forward.goes_on() {
            if connection.keep_forward(forward, moved, self.now) {
                self.resting.push_back((self.now + REST, id));
            }
        } else {
            connection.end_forward(&forward);
        }
        let to = self.slots.get_mut(target)?;
        to.widen(width);
        let sent = to.pour(pipe);
        if to.is_broken() {
            self.list(target);
        }
        Some(Told::Forwarded(moved, sent))
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
                Rested::NotYet => self.resting.push_back((self.now + REST, id)),
                Rested::NoMore => {}
            }
        }
    }

    /// The poller tells of all of a connection again.
    pub(super) fn unmute(&mut self, id: ConnId) {
        let Some(connection) = self.slots.get_mut(id) else { return };
        if connection.unmutes() {
            let _ = self.poller.unmute(&connection.socket, id);
        }
    }
}
