//! Newcomers of a worker: accepted, refused, or handed to the least loaded one.
//!
//! Not here: the listening sockets themselves (`accept`), whom the flow then serves or turns away.

use std::os::fd::OwnedFd;

use fairlead_flow::driver::{ListenerId, Peer};
use fairlead_model::event::Event;

use super::Worker;
use crate::accept::{accept, Accepted};
use crate::guard;
use crate::mailbox::{Command, Mailbox, Open};

/// How many more clients than the least loaded worker one may have before it hands over what it
/// accepts. One more is chance; a sixteenth more costs less than waking another thread for it.
const AHEAD: usize = 1;
const AHEAD_SHARE: usize = 16;

impl Worker {
    pub(super) fn accept(&mut self, number: u32) {
        let Some(open) = self.listening.open(number) else { return };
        for _ in 0..self.listening.batch() {
            match accept(&open) {
                Accepted::Client(socket, peer) => {
                    if self.sockets.is_reserved(&socket) && !self.give_up_descriptor() {
                        // Closed at once: there is nobody to read its request, or to answer it.
                        drop(socket);
                        return self.pause_accepting(&open, "out of file descriptors");
                    }
                    self.note_accepted(&open);
                    self.place(socket, open.listener, peer);
                }
                Accepted::Nobody => {}
                Accepted::Empty => return,
                Accepted::NoDescriptor if self.give_up_descriptor() => {}
                Accepted::NoDescriptor => {
                    self.listening.turn_one_away(&open);
                    return self.pause_accepting(&open, "out of file descriptors");
                }
                Accepted::Exhausted(why) => return self.pause_accepting(&open, why),
            }
        }
    }

    /// Gives up something that is only kept, because there are no descriptors left.
    #[cold]
    fn give_up_descriptor(&mut self) -> bool {
        if self.sockets.give_up_spares() {
            return true;
        }
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        guard::catch(|| flow.give_up_descriptor(sockets, now)).unwrap_or_else(|what| {
            self.tell_panic(what);
            false
        })
    }

    /// Serves an accepted connection here, or lets the least loaded worker do it. Where all places
    /// are taken it is the one with the most clients, because somebody of its own has to go. Where
    /// memory is full all have their turn: whoever refuses one sheds some of its own that idle, and
    /// a worker to which nobody comes would otherwise never shed any.
    fn place(&mut self, socket: OwnedFd, listener: ListenerId, peer: Peer) {
        let ours = self.flow.open_clients();
        let (other, near) = if self.common.memory.is_full() {
            self.refusals = self.refusals.wrapping_add(1);
            (self.refusals % self.common.boxes.len(), false)
        } else if self.flow.is_full(listener) {
            let (other, theirs) = self.common.board.most_loaded();
            (other, theirs <= ours)
        } else {
            let (other, theirs) = self.common.board.least_loaded();
            (other, ours <= theirs + AHEAD + theirs / AHEAD_SHARE)
        };
        if near || other == self.number {
            return self.adopt(socket, listener, peer);
        }
        let command = Command::Adopt(socket, listener, peer);
        let expect = || self.common.board.expect_client(other);
        let ways = (self.number, other);
        let handed =
            Mailbox::hand_over(&self.common.boxes, ways, self.most_handed_over, command, expect);
        if let Err(Command::Adopt(socket, listener, peer)) = handed {
            self.adopt(socket, listener, peer);
        }
    }

    pub(super) fn adopt(&mut self, socket: OwnedFd, listener: ListenerId, peer: Peer) {
        // Without kernel memory to watch it, a connection can only be closed.
        let Ok(id) = self.sockets.adopt(socket) else { return };
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        let work = || flow.handle_accepted(sockets, id, listener, peer, now);
        if let Err(what) = guard::catch(work) {
            self.recover(id, what);
        }
    }

    fn note_accepted(&self, open: &Open) {
        if open.socket.note_accepted(self.now) {
            let why = "there are resources again".to_owned();
            self.tell_accepting(open, true, why);
        }
    }

    fn pause_accepting(&mut self, open: &Open, why: &str) {
        if open.socket.note_exhausted(self.now) {
            self.tell_accepting(open, false, why.to_owned());
        }
        self.listening.pause(self.sockets.poller(), self.now);
    }

    fn tell_accepting(&self, open: &Open, accepting: bool, why: String) {
        let listener = open.name.to_string();
        self.common.events.tell(Event::Accepting { listener, accepting, why });
    }

    /// Accepts all that wait in the queue of a socket that is about to be closed.
    pub(super) fn empty(&mut self, open: &Open) {
        if !self.listening.is_accepting() {
            return;
        }
        loop {
            match accept(open) {
                Accepted::Client(socket, peer) => self.adopt(socket, open.listener, peer),
                Accepted::Nobody => {}
                Accepted::Empty | Accepted::NoDescriptor | Accepted::Exhausted(_) => return,
            }
        }
    }
}
