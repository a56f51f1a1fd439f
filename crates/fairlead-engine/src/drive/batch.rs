//! Receives and sends of many connections in one call of the kernel each, where a turn has many.
//!
//! Rules of this file
//! 1. Who has something to do is epoll's to say, as ever; so are order, turns and pauses. A batch
//!    only makes the same calls at once, and none waits in the kernel between two turns.
//! 2. A turn with few events makes its calls one by one: a batch of two saves nothing.
//! 3. A receive is made ahead only for those whose turn comes next, one buffer each. What nobody
//!    has heard after their turn (they were paused meanwhile) leaves the buffers and is kept.
//! 4. At most one send of a connection is in a batch, and nothing overtakes it: what must come
//!    after it submits first. All are submitted before the worker waits.
//! 5. Who is sent to is looked up when the batch is submitted: by then an id has its own connection
//!    or none.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use fairlead_flow::driver::ConnId;
use fairlead_model::limits::RECEIVE_BYTES;

use super::{list, Buffer, Sockets};
use crate::connection::Connection;
use crate::sys::poll::{Events, Source};
use crate::sys::ring::{Ring, BATCH};

/// A larger send is made at once: to copy it costs more than a call.
const BATCHED: usize = 4 * 1024;

/// What a worker has for its batches.
#[derive(Debug)]
pub(super) struct Batch {
    ring: Ring,
    /// A turn with fewer events than this goes without.
    least: usize,
    /// This turn has enough to do.
    on: bool,
    /// The turn's events before this one have been looked at for receives.
    until: usize,
    /// Who was received for, in the order of their turns.
    wanted: Vec<ConnId>,
    /// How much came for each of them and is still to be told.
    came: Vec<Option<usize>>,
    /// Those before this one have had their turn.
    turn: usize,
    /// What came for each.
    rooms: Vec<Buffer>,
    /// What came for connections that were paused before they heard of it.
    held: BTreeMap<ConnId, Vec<u8>>,
    sends: Vec<ToSend>,
    /// The bytes of all of them.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct ToSend {
    id: ConnId,
    start: usize,
    end: usize,
}

impl Batch {
    pub(super) fn new(ring: Ring, least: usize) -> Batch {
        Batch {
            ring,
            least,
            on: least == 0,
            until: 0,
            wanted: Vec::with_capacity(BATCH),
            came: Vec::with_capacity(BATCH),
            turn: 0,
            rooms: (0..BATCH).map(|_| vec![0; RECEIVE_BYTES].into_boxed_slice()).collect(),
            held: BTreeMap::new(),
            sends: Vec::with_capacity(BATCH),
            bytes: Vec::with_capacity(BATCH * BATCHED),
        }
    }

    /// Puts what came for this connection into `buffer`; how much.
    #[inline]
    pub(super) fn take(&mut self, id: ConnId, buffer: &mut Buffer) -> usize {
        if let Some(held) = self.held.remove(&id) {
            buffer[..held.len()].copy_from_slice(&held);
            return held.len();
        }
        // Turns come in the order of the receives; whoever was listed beside that is looked for.
        let of = |range: &[ConnId]| range.iter().position(|other| *other == id);
        let after = of(&self.wanted[self.turn..]).map(|place| self.turn + place);
        let Some(place) = after.or_else(|| of(&self.wanted)) else { return 0 };
        self.turn = place + 1;
        let Some(count) = self.came[place].take() else { return 0 };
        std::mem::swap(&mut self.rooms[place], buffer);
        count
    }

    /// What came for a connection is not to be told any more.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.held.remove(&id);
    }

    /// Makes all buffers smaller.
    #[cfg(test)]
    pub(super) fn read_at_most(&mut self, bytes: usize) {
        self.rooms.fill_with(|| vec![0; bytes].into_boxed_slice());
    }

    /// Whether nothing is kept for anybody.
    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty() && self.sends.is_empty()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.sends.len() == BATCH
    }

    #[inline]
    fn push(&mut self, id: ConnId, first: &[u8], then: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(then);
        self.sends.push(ToSend { id, start, end: self.bytes.len() });
    }
}

impl Sockets {
    /// With a ring for batches, in turns with so many events.
    pub(crate) fn batching(self, by: Option<(Ring, usize)>) -> Self {
        Sockets { batch: by.map(|(ring, least)| Box::new(Batch::new(ring, least))), ..self }
    }

    /// Begins a turn with so many events.
    #[inline]
    pub(crate) fn begin_turn(&mut self, events: usize) {
        if let Some(batch) = &mut self.batch {
            batch.on = events >= batch.least;
            batch.until = 0;
        }
    }

    /// Receives ahead for those whose turn comes next, from this event of the turn on.
    #[inline]
    pub(crate) fn look_ahead(&mut self, events: &Events, index: usize) {
        if self.batch.as_ref().is_some_and(|batch| batch.on && batch.until <= index) {
            self.put_aside();
            self.receive_ahead(events, index);
        }
    }

    fn receive_ahead(&mut self, events: &Events, index: usize) {
        let Some(batch) = &mut self.batch else { return };
        let slots = &mut self.slots;
        batch.until = events.len();
        for number in index..events.len() {
            let (Source::Connection(id), _) = events.at(number) else { continue };
            if !slots.get(id).is_some_and(Connection::may_receive_ahead) {
                continue;
            }
            batch.wanted.push(id);
            if batch.wanted.len() == BATCH {
                batch.until = number + 1;
                break;
            }
        }
        if batch.wanted.len() < batch.least.div_ceil(2) {
            return batch.wanted.clear();
        }
        let sockets = batch.wanted.iter().zip(&mut batch.rooms).map(|(id, room)| {
            let connection = slots.get(*id).expect("it was there a moment ago");
            (connection.socket.as_fd(), &mut room[..])
        });
        let outcomes = batch.ring.receive(sockets);
        for ((id, room), outcome) in batch.wanted.iter().zip(&batch.rooms).zip(outcomes) {
            let connection = slots.get_mut(*id).expect("it was there a moment ago");
            connection.note_received(*outcome, room.len());
            batch.came.push(outcome.ok());
        }
    }

    /// Keeps what came and was not told.
    pub(crate) fn put_aside(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        for (place, id) in batch.wanted.drain(..).enumerate() {
            let Some(count) = batch.came.get_mut(place).and_then(Option::take) else { continue };
            let Some(connection) = self.slots.get_mut(id) else { continue };
            if count == 0 {
                // The end is still in the socket.
                connection.ahead = false;
            } else if connection.ahead {
                batch.held.insert(id, batch.rooms[place][..count].to_vec());
            }
        }
        batch.came.clear();
        batch.turn = 0;
    }

    /// Sends with the next batch; false if it has to go at once.
    #[inline]
    pub(super) fn send_batched(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> bool {
        self.settle(id);
        let Some(batch) = &self.batch else { return false };
        if !batch.on || !(1..=BATCHED).contains(&(first.len() + then.len())) {
            return false;
        }
        if batch.is_full() {
            self.submit();
        }
        let Some(batch) = &mut self.batch else { return false };
        let Some(connection) = self.slots.get_mut(id) else { return false };
        if !connection.may_batch() {
            return false;
        }
        connection.note_batched();
        batch.push(id, first, then);
        true
    }

    /// Submits, if something of this connection is in the batch.
    #[inline]
    pub(super) fn settle(&mut self, id: ConnId) {
        if self.batch.is_some() && self.slots.get(id).is_some_and(|of| of.batched) {
            self.submit();
        }
    }

    /// Sends all that is in the batch. To be called before waiting.
    pub(crate) fn submit(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        if batch.sends.is_empty() {
            return;
        }
        let (slots, bytes) = (&mut self.slots, &batch.bytes);
        // Who is gone has failed.
        batch.sends.retain(|send| slots.get(send.id).is_some());
        let sockets = batch.sends.iter().map(|send| {
            let connection = slots.get(send.id).expect("it was there a moment ago");
            (connection.socket.as_fd(), &bytes[send.start..send.end])
        });
        let outcomes = batch.ring.send(sockets);
        for (send, outcome) in batch.sends.iter().zip(outcomes) {
            let connection = slots.get_mut(send.id).expect("it was there a moment ago");
            connection.note_sent(*outcome, &bytes[send.start..send.end]);
            if connection.is_broken() {
                list(connection, &mut self.ready, send.id);
            }
        }
        batch.sends.clear();
        batch.bytes.clear();
    }
}
