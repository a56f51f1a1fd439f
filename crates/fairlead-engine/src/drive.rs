//! All sockets of a worker: does what the flow wants, and finds out what to tell it.
//!
//! Rules of this file (the contract stands in `fairlead_flow::driver`)
//! 1. A call of the flow never leads to a call into the flow: what it leads to is noted, and its
//!    connection put on the ready list.
//! 2. I/O is tried at once. The poller is asked only for what didn't work at once.
//! 3. An id finds its own connection or none.
//! 4. Nothing is allocated for a connection that moves its bytes without waiting.
//!
//! No branch here depends on what the bytes say, nor on who is well.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fairlead_flow::driver::{ConnId, Driver, IoFailure, Outgoing, PathState, Sent};
use fairlead_flow::slab::Slab;
use fairlead_flow::{Question, Ticket};
use fairlead_model::backend::Endpoint;
use fairlead_model::limits::READS_PER_TURN;
use fairlead_model::moment::Moment;

use crate::connect::Opener;
use crate::connection::{Connection, Forward, Phase, Told};
use crate::policy::Asking;
use crate::sys::descriptors;
use crate::sys::pipe::Pipes;
use crate::sys::poll::{Poller, Signs};
use crate::sys::socket;
use batch::Batch;

/// How long a closed connection may take to send what is queued. A client that takes nothing for
/// five seconds will hardly take it later.
const CLOSING: Duration = Duration::from_secs(5);

/// Between two looks for connections whose other end is dead though nothing said so.
const ROUND: Duration = Duration::from_secs(10);

/// So many connections may have something to do, or be closing, without room being made anew.
const KEPT: usize = 256;

/// A look around that was due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Round {
    /// Whether three of four places are free, and were not in the round before: then others have
    /// memory to give back, too, even if one that stays in the last place keeps the sockets' own.
    /// Not again while it stays so: that would cost a look at all memory in each round for ever.
    pub peak_has_left: bool,
}

/// What is told as [`Told::Data`] stands in one of these: [`RECEIVE_BYTES`].
pub(crate) type Buffer = Box<[u8]>;

/// All sockets of a worker.
#[derive(Debug)]
pub(crate) struct Sockets {
    poller: Poller,
    slots: Slab<Connection, ConnId>,
    /// Those that have something to do without a new sign from the poller.
    ready: VecDeque<ConnId>,
    /// Those that the flow has closed and that still send, oldest first, with their last moment.
    /// Some may be gone already.
    closing: VecDeque<(Moment, ConnId)>,
    closing_count: usize,
    /// Those of which few bytes may have come that the poller doesn't tell of, with the moment when
    /// they are to be looked at. Some may have moved theirs, or be gone.
    resting: VecDeque<(Moment, ConnId)>,
    /// Those that have connected in this turn.
    connected: Vec<ConnId>,
    pipes: Pipes,
    opener: Opener,
    /// When the next look for dead ends is due.
    round: Moment,
    /// Three of four places were free in the last one.
    was_low: bool,
    now: Moment,
    /// Where questions to policies go.
    asking: Option<Asking>,
    /// How calls for many connections are made at once; `None`: each by itself.
    batch: Option<Box<Batch>>,
}

impl Sockets {
    /// Those of one of so many workers.
    pub(crate) fn new(poller: Poller, workers: usize) -> Self {
        Sockets {
            poller,
            slots: Slab::new(),
            ready: VecDeque::new(),
            closing: VecDeque::new(),
            closing_count: 0,
            resting: VecDeque::new(),
            connected: Vec::new(),
            pipes: Pipes::new(descriptors::limit(), workers),
            opener: Opener::new(descriptors::limit(), workers),
            round: Moment::ZERO + ROUND,
            was_low: false,
            now: Moment::ZERO,
            asking: None,
            batch: None,
        }
    }

    /// With somewhere to go with questions to policies.
    pub(crate) fn with_policies(self, asking: Asking) -> Self {
        Sockets { asking: Some(asking), ..self }
    }

    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Says what time it is; once per turn.
    pub(crate) fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    /// Whether an accepted socket has a descriptor that clients don't get.
    pub(crate) fn is_reserved(&self, socket: &OwnedFd) -> bool {
        self.opener.reserved.has(socket)
    }

    /// Gives up sockets that are only kept; false if there are none.
    pub(crate) fn give_up_spares(&mut self) -> bool {
        self.opener.spares.give_up()
    }

    /// Takes an accepted socket.
    pub(crate) fn adopt(&mut self, socket: OwnedFd) -> Result<ConnId, IoFailure> {
        self.register(Connection::new(socket, Phase::Open), false)
    }

    /// Keeps what the poller said.
    #[inline]
    pub(crate) fn note(&mut self, id: ConnId, signs: Signs) {
        if let Some(connection) = self.slots.get_mut(id) {
            connection.note(signs);
        }
    }

    /// What is to be told next about this connection, if anything. To be asked until it answers
    /// `None`, or given back with [`Sockets::yield_turn`].
    #[inline]
    pub(crate) fn next(&mut self, id: ConnId, buffer: &mut Buffer) -> Option<Told> {
        let connection = self.slots.get_mut(id)?;
        if connection.phase == Phase::Closing {
            self.wind_up(id, buffer);
            return None;
        }
        if connection.may_forward() {
            // First what waits here: the poller has said once that there is room, and whoever it is
            // forwarded to may take the last of this turn.
            if connection.has_gone_on() {
                return Some(Told::Writable);
            }
            if let Some(told) = self.forward_some(id) {
                return Some(told);
            }
        }
        let connection = self.slots.get_mut(id)?;
        let batch = &mut self.batch;
        let told = connection.next(|connection| match batch {
            Some(batch) if connection.ahead => connection.tell_ahead(batch.take(id, buffer)),
            _ => connection.read(buffer),
        });
        match told {
            Some(Told::Failed(_) | Told::ConnectFailed(_)) => drop(self.remove(id)),
            Some(Told::Connected) => self.connected.push(id),
            _ => {}
        }
        told
    }

    /// Does what the turn has left to its end. To be called before waiting.
    pub(crate) fn end_turn(&mut self) {
        self.submit();
        for id in self.connected.drain(..) {
            if let Some(connection) = self.slots.get_mut(id) {
                connection.acknowledge();
            }
        }
    }

    /// Puts a connection that still has something to tell behind the others.
    pub(crate) fn yield_turn(&mut self, id: ConnId) {
        if self.slots.get(id).is_some_and(Connection::has_news) {
            self.list(id);
        }
    }

    /// How many connections have something to do now.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next one of them. (It may be gone by now.)
    pub(crate) fn pop_ready(&mut self) -> Option<ConnId> {
        let id = self.ready.pop_front()?;
        if let Some(connection) = self.slots.get_mut(id) {
            connection.listed = false;
        }
        Some(id)
    }

    /// How many connections are being closed in the background.
    pub(crate) fn closing(&self) -> usize {
        self.closing_count
    }

    /// When [`Sockets::run_timers`] wants to be called next.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let closing = self.closing.front().map(|(last, _)| *last);
        let resting = self.resting.front().map(|(at, _)| *at);
        let at_rest = self.slots.is_at_rest() && self.opener.spares.len() == 0;
        let round = (!at_rest).then_some(self.round);
        [closing, resting, round].into_iter().flatten().min()
    }

    /// Looks at those that have rested, gives up closed connections whose time is over; once in a
    /// round also looks for dead ones, and gives back the memory that a peak has left. None between
    /// two rounds.
    pub(crate) fn run_timers(&mut self) -> Option<Round> {
        self.look_at_resting();
        self.expire();
        if self.round > self.now {
            return None;
        }
        self.round = self.now + ROUND;
        self.look_for_dead();
        self.ready.shrink_to(KEPT);
        self.closing.shrink_to(KEPT);
        self.resting.shrink_to(KEPT);
        self.connected.shrink_to(KEPT);
        self.opener.spares.look();
        let is_low = self.slots.give_back();
        let was_low = std::mem::replace(&mut self.was_low, is_low);
        Some(Round { peak_has_left: is_low && !was_low })
    }

    fn look_for_dead(&mut self) {
        self.submit();
        let dead =
            |(id, connection): (ConnId, &mut Connection)| connection.is_found_dead().then_some(id);
        let dead: Vec<_> = self.slots.iter_mut().filter_map(dead).collect();
        for id in dead {
            self.list(id);
        }
    }

    fn expire(&mut self) {
        while let Some(&(last, id)) = self.closing.front() {
            if let Some(connection) = self.slots.get(id) {
                if last > self.now {
                    return;
                }
                if connection.queue.is_empty() {
                    self.remove(id);
                } else {
                    self.reset(id);
                }
                self.closing_count -= 1;
            }
            self.closing.pop_front();
        }
    }

    fn wind_up(&mut self, id: ConnId, buffer: &mut [u8]) {
        let Some(connection) = self.slots.get_mut(id) else { return };
        if connection.wind_up(buffer, READS_PER_TURN) {
            self.remove(id);
            self.closing_count -= 1;
        } else if connection.has_more() {
            self.list(id);
        }
    }

    /// Takes a connection; `known`: the poller has its socket already, by another id.
    fn register(&mut self, connection: Connection, known: bool) -> Result<ConnId, IoFailure> {
        let id = self.slots.insert(connection);
        let added = match self.slots.get(id) {
            Some(it) if known => self.poller.tell_all(&it.socket, id),
            Some(it) => self.poller.add_connection(&it.socket, id),
            None => Ok(()),
        };
        added.map(|()| id).map_err(|error| {
            self.remove(id);
            socket::failure(error)
        })
    }

    fn reset(&mut self, id: ConnId) {
        if let Some(connection) = self.remove(id) {
            socket::reset(connection.socket);
        }
    }

    fn remove(&mut self, id: ConnId) -> Option<Connection> {
        let connection = self.slots.remove(id)?;
        if connection.ahead {
            self.forget_ahead(id);
        }
        Some(connection)
    }

    #[cold]
    fn forget_ahead(&mut self, id: ConnId) {
        if let Some(batch) = &mut self.batch {
            batch.forget(id);
        }
    }

    fn list(&mut self, id: ConnId) {
        if let Some(connection) = self.slots.get_mut(id) {
            list(connection, &mut self.ready, id);
        }
    }

    /// The connection, unless the flow has closed it.
    #[inline]
    fn in_use(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.slots.get_mut(id).filter(|connection| connection.phase != Phase::Closing)
    }
}

/// Puts a connection onto the list of those that have something to do.
fn list(connection: &mut Connection, ready: &mut VecDeque<ConnId>, id: ConnId) {
    if !std::mem::replace(&mut connection.listed, true) {
        ready.push_back(id);
    }
}

impl Driver for Sockets {
    fn connect(&mut self, to: &Endpoint, how: Outgoing) -> Result<ConnId, IoFailure> {
        let opened = self.opener.start(to, how, self.now).map_err(socket::failure)?;
        let at_once = opened.connection.phase == Phase::Connected;
        let id = self.register(opened.connection, opened.known)?;
        if at_once {
            self.list(id);
        }
        Ok(id)
    }

    #[inline]
    fn send(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        if self.batch.is_some() && self.send_batched(id, first, then) {
            return Sent::All;
        }
        let Some(connection) = self.in_use(id) else { return Sent::All };
        if !connection.send(first, then) {
            return Sent::Queued;
        }
        if connection.is_broken() {
            self.list(id);
        }
        Sent::All
    }

    #[inline]
    fn send_last(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        self.settle(id);
        let Some(connection) = self.in_use(id) else { return Sent::All };
        if !connection.send_last(first, then) {
            return Sent::Queued;
        }
        if connection.is_broken() {
            self.list(id);
        }
        Sent::All
    }

    fn queued(&self, id: ConnId) -> usize {
        self.slots.get(id).map_or(0, |connection| connection.queue.len())
    }

    fn finish(&mut self, id: ConnId) {
        self.settle(id);
        if let Some(connection) = self.in_use(id) {
            connection.finish();
        }
    }

    fn pause(&mut self, id: ConnId) {
        let connection = self.slots.get_mut(id);
        let Some(connection) = connection.filter(|it| it.phase != Phase::Closing) else { return };
        connection.paused = true;
        if connection.mutes() {
            // Should it not do so: it wakes us, and that is all.
            let _ = self.poller.mute(&connection.socket, id);
        }
    }

    fn resume(&mut self, id: ConnId) {
        let Some(connection) = self.slots.get_mut(id) else { return };
        forwarding::unmute(&self.poller, connection, id);
        if std::mem::take(&mut connection.paused) && connection.has_news() {
            list(connection, &mut self.ready, id);
        }
    }

    fn forward(&mut self, from: ConnId, to: ConnId, most: u64) {
        let now = self.now;
        let Some(connection) = self.slots.get_mut(from) else { return };
        if connection.phase != Phase::Closing {
            forwarding::unmute(&self.poller, connection, from);
            connection.forward_to((most > 0).then(|| Box::new(Forward::new(to, most, now))));
        }
    }

    fn close(&mut self, id: ConnId) {
        self.settle(id);
        let Some(connection) = self.in_use(id) else { return };
        if connection.queue.is_empty() || matches!(connection.phase, Phase::Connecting(_)) {
            if let Some(connection) = self.remove(id) {
                self.opener.take_back(connection);
            }
            return;
        }
        if connection.ahead {
            self.forget_ahead(id);
        }
        let Some(connection) = self.slots.get_mut(id) else { return };
        forwarding::unmute(&self.poller, connection, id);
        connection.begin_closing();
        self.closing_count += 1;
        self.closing.push_back((self.now + CLOSING, id));
        self.list(id);
    }

    fn abort(&mut self, id: ConnId) {
        self.settle(id);
        if self.in_use(id).is_some() {
            self.reset(id);
        }
    }

    fn is_quiet(&mut self, id: ConnId) -> bool {
        self.in_use(id).is_some_and(|connection| connection.is_quiet())
    }

    fn ask_path(&mut self, id: ConnId) -> Option<PathState> {
        self.settle(id);
        socket::path_state(&self.in_use(id)?.socket)
    }

    fn taken(&mut self, id: ConnId) -> Option<u64> {
        self.settle(id);
        socket::acknowledged(&self.in_use(id)?.socket)
    }

    fn ask_policy(&mut self, ticket: Ticket, question: &Question<'_>) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.ask(ticket, question, self.now))
    }

    #[inline]
    fn has_news(&mut self, id: ConnId) -> bool {
        self.in_use(id).is_none_or(|connection| connection.has_signs())
    }
}

mod batch;
mod forwarding;
// The same tests for each call by itself and for calls in batches: they look at their own name.
#[cfg(test)]
#[path = "drive/tests/sockets.rs"]
mod tests;
#[cfg(test)]
#[path = "drive/tests/sockets.rs"]
mod tests_on_ring;
