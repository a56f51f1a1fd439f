//! One connection to a backend, whoever uses it at the moment.

pub(crate) mod introduce;
mod news;

use std::rc::Rc;

use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::moment::Moment;
use fairlead_proto::http1::Progress;

use crate::chaos::Affliction;
use crate::driver::{ConnId, Driver, PathState, Sent};
use crate::idle::Rest;
use crate::local::{LocalBackend, LocalPool};
use crate::path::Watch;
use crate::slab::Key;
use crate::wheel::Filed;

/// Who looks for a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The exchange of this HTTP client.
    Client(Key),
    /// This tcp relay.
    Relay(Key),
}

/// Who uses a connection to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkUse {
    /// Being made for somebody.
    Connecting(Owner),
    /// Being made, and nobody waits for it any more: somebody else was faster. It may be kept for
    /// the next request, or not (tcp).
    Late {
        /// Whether it is kept when it succeeds.
        keep: bool,
    },
    /// Carries a request that somebody else has answered meanwhile. It goes on for a while, to
    /// tell a slow backend from a silent one.
    Lost {
        /// When the request was sent.
        since: Moment,
    },
    /// Kept for the next request.
    Idle,
    /// Carries a request of this client.
    Busy(Key),
    /// One side of a relay or tunnel.
    Relay(Key),
}

/// One connection to a backend.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) conn: ConnId,
    pub(crate) pool: Rc<LocalPool>,
    pub(crate) slot: Slot,
    pub(crate) backend: Rc<LocalBackend>,
    pub(crate) endpoint: Rc<Endpoint>,
    pub(crate) used: LinkUse,
    /// When the connect began.
    pub(crate) started: Moment,
    /// It was kept before this use.
    pub(crate) was_kept: bool,
    /// Since when it has been idle, or was before this use.
    pub(crate) rest: Rest,
    /// When the last answer's head began to come, or the connect began.
    pub(crate) heard: Moment,
    /// Whether what was sent on it is acknowledged.
    pub(crate) watch: Watch,
    /// The head of a response as far as it has come, if it did not come whole.
    pub(crate) input: Vec<u8>,
    /// How far that was looked at.
    pub(crate) progress: Progress,
    /// Interim responses to the request that it carries.
    pub(crate) interim: u32,
    /// The client is slower than the backend: reading stopped.
    pub(crate) paused: bool,
    pub(crate) deadline: Moment,
    pub(crate) filed: Filed,
    /// What it suffers, if a fault is played on it.
    pub(crate) affliction: Option<Box<Affliction>>,
}

impl Link {
    pub(crate) fn new(
        conn: ConnId,
        pool: Rc<LocalPool>,
        slot: Slot,
        backend: Rc<LocalBackend>,
        endpoint: Rc<Endpoint>,
        now: Moment,
    ) -> Self {
        Link {
            conn,
            pool,
            slot,
            backend,
            endpoint,
            used: LinkUse::Late { keep: false },
            started: now,
            was_kept: false,
            rest: Rest { earliest: now, latest: now },
            heard: now,
            watch: Watch::default(),
            input: Vec::new(),
            progress: Progress::default(),
            interim: 0,
            paused: false,
            deadline: Moment(u64::MAX),
            filed: Filed::NOTHING,
            affliction: None,
        }
    }

    /// Whether what happens on it says something about its backend, wherever that is now.
    #[inline]
    pub(crate) fn speaks(&self) -> bool {
        self.backend.has(&self.endpoint)
    }

    /// Sends to the backend.
    #[inline]
    pub(crate) fn send<D: Driver>(
        &mut self,
        d: &mut D,
        first: &[u8],
        then: &[u8],
        now: Moment,
    ) -> Sent {
        let taken = self.affliction.as_mut().and_then(|played| played.takes(first, then, now));
        taken.unwrap_or_else(|| d.send(self.conn, first, then))
    }

    /// It carries bytes and no requests from now on, which have no errors.
    #[inline]
    pub(crate) fn spare_stream(&mut self) {
        if self.affliction.as_ref().is_some_and(|affliction| affliction.is_of_requests()) {
            self.affliction = None;
        }
    }

    /// Sends FIN to the backend.
    pub(crate) fn finish<D: Driver>(&mut self, d: &mut D) {
        if !self.affliction.as_mut().is_some_and(|affliction| affliction.takes_fin()) {
            d.finish(self.conn);
        }
    }

    /// How what was sent fares.
    pub(crate) fn path<D: Driver>(&self, d: &mut D, now: Moment) -> Option<PathState> {
        let played = self.affliction.as_ref().and_then(|affliction| affliction.path(now));
        played.or_else(|| d.ask_path(self.conn))
    }
}
