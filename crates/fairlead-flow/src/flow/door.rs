//! Who is let in, and what those are told who aren't.

use std::rc::Rc;

use fairlead_model::event::Event;
use fairlead_model::moment::Moment;
use fairlead_model::plan::Protocol;
use fairlead_model::reason::Reason;

use crate::arrival::owes_header;
use crate::driver::{ConnId, Driver, ListenerId, Peer};
use crate::flow::Flow;
use crate::local::LocalListener;
use crate::places::Place;

impl Flow {
    /// A client has connected.
    pub fn handle_accepted<D: Driver>(
        &mut self,
        d: &mut D,
        id: ConnId,
        listener: ListenerId,
        peer: Peer,
        now: Moment,
    ) {
        let Some(listener) = self.local.listeners.get(&listener) else { return d.abort(id) };
        let listener = Rc::clone(listener);
        listener.state.count_connection(self.ctx.worker);
        let full = self.memory_full.then_some(Reason::MemoryFull);
        let mut place = full.map_or_else(|| listener.state.enter(), Err);
        if let Err(full) = place {
            if self.make_room(d, full, &listener, peer, now) {
                place = listener.state.enter();
            }
        }
        match place {
            Ok(place) if owes_header(listener.plan(), peer) => {
                self.arrival_begin(id, listener, (peer, place), now);
            }
            Ok(place) => self.admit(d, id, listener, (peer, place), now),
            Err(full) => self.turn_away(d, id, listener, (peer, full), now),
        }
        self.settle(d, now);
    }

    /// A client whose address is known has a place at its listener: it is served, unless it has too
    /// many.
    pub(crate) fn admit<D: Driver>(
        &mut self,
        d: &mut D,
        id: ConnId,
        listener: Rc<LocalListener>,
        (peer, mut place): (Peer, Place),
        now: Moment,
    ) {
        let full = Reason::ClientFull;
        if !listener.state.count_client(&mut place, peer) {
            let room = self.make_room(d, full, &listener, peer, now);
            if !room || !listener.state.count_client(&mut place, peer) {
                listener.state.leave(place);
                return self.turn_away(d, id, listener, (peer, full), now);
            }
        }
        if listener.state.note_room(now) {
            self.tell_full(&listener, None);
        }
        match listener.plan().protocol {
            Protocol::Http => self.client_accepted(id, listener, (peer, place), now),
            Protocol::Tcp => self.relay_accepted(d, id, listener, (peer, place), now),
        }
    }

    /// There is no place for a client.
    fn turn_away<D: Driver>(
        &mut self,
        d: &mut D,
        id: ConnId,
        listener: Rc<LocalListener>,
        (peer, full): (Peer, Reason),
        now: Moment,
    ) {
        // Of memory the engine tells, once for all listeners.
        if full != Reason::MemoryFull && listener.state.note_full(now) {
            self.tell_full(&listener, Some(full));
        }
        if listener.plan().protocol == Protocol::Http {
            return self.client_turned_away(d, id, listener, (peer, full), now);
        }
        listener.state.count(self.ctx.worker, 0, full);
        self.log_turned_away(&listener, peer, full, now);
        d.abort(id);
    }

    #[cold]
    fn tell_full(&mut self, listener: &LocalListener, full: Option<Reason>) {
        let why = full.map_or("there is room again", |full| full.row().text);
        self.ctx.events.push_back(Event::Full {
            listener: listener.plan().name.clone(),
            full: full.is_some(),
            why: why.to_owned(),
        });
    }
}
