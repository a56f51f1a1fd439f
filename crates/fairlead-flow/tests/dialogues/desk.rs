//! The driver of a dialogue: writes down what is wanted, and does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fairlead_flow::{ConnId, Driver, IoFailure, Outgoing, PathState, Question, Sent, Ticket};
use fairlead_model::backend::Endpoint;

use crate::wants::{Who, Wish};

/// What a flow's calls are written down on.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// What was wanted since somebody last looked.
    pub(crate) wishes: Vec<Wish>,
    /// Who is who: the index of an id is a place in here.
    people: Vec<Who>,
    closed: BTreeSet<Who>,
    /// All that was ever written to somebody.
    pub(crate) written: BTreeMap<Who, Vec<u8>>,
    /// Whose connection has ended without the flow: what it still wants of them means nothing.
    gone: BTreeSet<Who>,
    links: usize,
    /// Connects that nobody has answered yet, and to which backend.
    pub(crate) connecting: Vec<(Who, usize)>,
    /// To which port each link's connect went.
    pub(crate) ports: BTreeMap<Who, u16>,
    /// Whose sockets take no more.
    pub(crate) full: BTreeSet<Who>,
    /// Who has something queued.
    pub(crate) queued: BTreeSet<Who>,
    /// Kept connections on which something has arrived that nobody was told of yet.
    pub(crate) unquiet: BTreeSet<Who>,
    /// What the kernel says of whose connection; of others that all is acknowledged.
    pub(crate) paths: BTreeMap<Who, PathState>,
    /// How often it was asked.
    pub(crate) looks: usize,
    /// How many bytes the kernel says that somebody has acknowledged; of others nothing is known.
    pub(crate) taken: BTreeMap<Who, u64>,
    /// What the next connects fail with at once.
    pub(crate) fails_at_once: Vec<IoFailure>,
    /// What all connects fail with at once, if they do.
    pub(crate) all_fail: Option<IoFailure>,
    /// Who is not resumed: that panics, once.
    pub(crate) panics: Option<Who>,
    /// Questions to the policy, oldest first; `None`: nobody is there to be asked.
    pub(crate) asked: Option<Vec<Ticket>>,
}

impl Desk {
    /// An id for somebody new.
    pub(crate) fn seat(&mut self, who: Who) -> ConnId {
        self.people.push(who);
        ConnId { index: self.people.len() as u32 - 1, generation: 7 }
    }

    /// The id of somebody.
    pub(crate) fn id(&self, who: Who) -> ConnId {
        let index = self.people.iter().position(|person| *person == who);
        let index = index.unwrap_or_else(|| panic!("{who} does not exist (yet)"));
        ConnId { index: index as u32, generation: 7 }
    }

    /// Whether the flow has not ended this connection.
    pub(crate) fn is_open(&self, who: Who) -> bool {
        !self.closed.contains(&who) && !self.gone.contains(&who)
    }

    /// Everybody whose connection the flow has not ended.
    pub(crate) fn open(&self) -> Vec<Who> {
        self.people.iter().copied().filter(|who| self.is_open(*who)).collect()
    }

    /// A connect was answered, in whatever way.
    pub(crate) fn answered(&mut self, who: Who) {
        self.connecting.retain(|(link, _)| *link != who);
    }

    /// The other end, or the network, has ended a connection.
    pub(crate) fn gone(&mut self, who: Who) {
        self.gone.insert(who);
    }

    fn who(&self, id: ConnId) -> Who {
        self.people[id.index as usize]
    }

    fn end(&mut self, id: ConnId, wish: fn(Who) -> Wish) {
        let who = self.who(id);
        if !self.gone.contains(&who) {
            assert!(self.closed.insert(who), "{who} was ended twice");
            self.wishes.push(wish(who));
        }
    }
}

impl Driver for Desk {
    fn connect(&mut self, to: &Endpoint, _how: Outgoing) -> Result<ConnId, IoFailure> {
        let Endpoint::Tcp(address) = to else { return Err(IoFailure::Refused) };
        let IpAddr::V4(four) = address.ip() else { return Err(IoFailure::Unreachable) };
        self.wishes.push(Wish::Connect(usize::from(four.octets()[3])));
        if let Some(failure) = self.fails_at_once.pop().or(self.all_fail) {
            return Err(failure);
        }
        self.links += 1;
        let link = Who::Link(self.links - 1);
        self.connecting.push((link, usize::from(four.octets()[3])));
        self.ports.insert(link, address.port());
        Ok(self.seat(link))
    }

    fn send(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        let who = self.who(id);
        if self.gone.contains(&who) {
            return Sent::All;
        }
        assert!(self.is_open(who), "something was sent to {who}, whose connection has ended");
        let bytes = [first, then].concat();
        self.written.entry(who).or_default().extend(&bytes);
        // Adjacent sends are one to whoever receives them.
        match self.wishes.last_mut() {
            Some(Wish::Write(to, written)) if *to == who => written.extend(bytes),
            _ => self.wishes.push(Wish::Write(who, bytes)),
        }
        if self.full.contains(&who) {
            self.queued.insert(who);
            Sent::Queued
        } else {
            Sent::All
        }
    }

    fn queued(&self, id: ConnId) -> usize {
        usize::from(self.queued.contains(&self.who(id)))
    }

    fn finish(&mut self, id: ConnId) {
        self.wishes.push(Wish::Finish(self.who(id)));
    }

    fn pause(&mut self, id: ConnId) {
        self.wishes.push(Wish::Pause(self.who(id)));
    }

    fn resume(&mut self, id: ConnId) {
        let who = self.who(id);
        assert!(self.panics.take_if(|one| *one == who).is_none(), "as it was asked for");
        self.wishes.push(Wish::Resume(who));
    }

    fn forward(&mut self, from: ConnId, to: ConnId, most: u64) {
        self.wishes.push(Wish::Forward(self.who(from), self.who(to), most));
    }

    fn close(&mut self, id: ConnId) {
        self.end(id, Wish::Close);
    }

    fn abort(&mut self, id: ConnId) {
        self.end(id, Wish::Abort);
    }

    fn ask_path(&mut self, id: ConnId) -> Option<PathState> {
        self.looks += 1;
        Some(self.paths.get(&self.who(id)).copied().unwrap_or_default())
    }

    fn taken(&mut self, id: ConnId) -> Option<u64> {
        self.taken.get(&self.who(id)).copied()
    }

    fn ask_policy(&mut self, ticket: Ticket, question: &Question<'_>) -> bool {
        let candidates = question.candidates.iter().map(|slot| slot.index()).collect();
        let line = question.head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        self.wishes.push(Wish::Ask(candidates, line, question.body.to_vec()));
        let Some(asked) = &mut self.asked else { return false };
        asked.push(ticket);
        true
    }

    fn is_quiet(&mut self, id: ConnId) -> bool {
        !self.unquiet.contains(&self.who(id))
    }
}
