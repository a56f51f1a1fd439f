//! A driver without a network: it remembers what was sent to whom, in order, and what is to be told.

use fairlead_flow::{ConnId, Driver, IoFailure, Outgoing, PathState, Sent};
use fairlead_model::backend::Endpoint;

/// One connection of the flow's.
#[derive(Debug)]
pub(crate) struct Conn {
    generation: u32,
    /// The flow has neither closed it nor been told of its end.
    pub(crate) open: bool,
    pub(crate) paused: bool,
    /// Its socket takes nothing now: what is sent waits.
    pub(crate) stuffed: bool,
    pub(crate) queued: usize,
    /// All that was sent on it so far.
    pub(crate) sent: Vec<u8>,
    /// The flow has connected it, and was not told how that went.
    pub(crate) connecting: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Network {
    conns: Vec<Conn>,
    free: Vec<u32>,
    /// Connections that the flow has begun and nobody has looked at yet.
    pub(crate) begun: Vec<ConnId>,
    /// The next connect fails at once.
    pub(crate) refuses: bool,
}

impl Network {
    /// A new connection.
    pub(crate) fn add(&mut self, connecting: bool) -> ConnId {
        let conn = Conn {
            generation: 0,
            open: true,
            paused: false,
            stuffed: false,
            queued: 0,
            sent: Vec::new(),
            connecting,
        };
        if let Some(index) = self.free.pop() {
            let place = &mut self.conns[index as usize];
            let generation = place.generation + 1;
            *place = Conn { generation, ..conn };
            return ConnId { index, generation };
        }
        self.conns.push(conn);
        ConnId { index: self.conns.len() as u32 - 1, generation: 0 }
    }

    /// A connection that is still this one, open or not.
    pub(crate) fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id.index as usize).filter(|conn| conn.generation == id.generation)
    }

    /// The same, if it is open.
    pub(crate) fn open(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.get(id).filter(|conn| conn.open)
    }

    /// Connections that nobody has ended.
    pub(crate) fn all_open(&self) -> usize {
        self.conns.iter().filter(|conn| conn.open).count()
    }

    /// What was sent on it; `None` once its place is another's.
    pub(crate) fn sent(&mut self, id: ConnId) -> Option<&[u8]> {
        self.get(id).map(|conn| &*conn.sent)
    }

    /// It has ended. What was sent on it can still be looked at until its place is used again.
    pub(crate) fn end(&mut self, id: ConnId) {
        if let Some(conn) = self.open(id) {
            conn.open = false;
        }
    }

    /// Its place may be used again.
    pub(crate) fn free(&mut self, id: ConnId) {
        if self.get(id).is_some_and(|conn| !conn.open) && !self.free.contains(&id.index) {
            self.free.push(id.index);
        }
    }
}

impl Driver for Network {
    fn connect(&mut self, _: &Endpoint, _: Outgoing) -> Result<ConnId, IoFailure> {
        if std::mem::take(&mut self.refuses) {
            return Err(IoFailure::Refused);
        }
        let id = self.add(true);
        self.begun.push(id);
        Ok(id)
    }

    fn send(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        let Some(conn) = self.open(id) else { return Sent::All };
        assert!(!conn.connecting, "something is sent before there is a connection");
        conn.sent.extend_from_slice(first);
        conn.sent.extend_from_slice(then);
        if conn.stuffed || conn.queued > 0 {
            conn.queued += first.len() + then.len();
        }
        if conn.queued > 0 {
            Sent::Queued
        } else {
            Sent::All
        }
    }

    fn queued(&self, id: ConnId) -> usize {
        let conn = self.conns.get(id.index as usize);
        conn.filter(|conn| conn.generation == id.generation).map_or(0, |conn| conn.queued)
    }

    fn finish(&mut self, _: ConnId) {}

    fn pause(&mut self, id: ConnId) {
        if let Some(conn) = self.open(id) {
            conn.paused = true;
        }
    }

    fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.open(id) {
            conn.paused = false;
        }
    }

    fn close(&mut self, id: ConnId) {
        self.end(id);
    }

    fn abort(&mut self, id: ConnId) {
        self.end(id);
    }

    fn is_quiet(&mut self, id: ConnId) -> bool {
        self.open(id).is_some()
    }

    fn ask_path(&mut self, _: ConnId) -> Option<PathState> {
        None
    }
}
