//! A question on its way from a worker to Python, and the answer on its way back.
//!
//! What a flow lends is copied here: the worker goes on, and the request it was about may be gone
//! long before anybody reads the question.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::Pool;
use fairlead_flow::{Question, Ticket, Verdict};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;

use crate::mailbox::{Command, Mailbox};
use crate::policy::Desks;

/// Where a worker goes with its questions, and where it finds the answers.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) desks: Arc<Desks>,
    pub(crate) back: Arc<Mailbox>,
}

impl Asking {
    /// Leaves a question at the desk of its pool; false if nobody is there to answer it in time.
    pub(crate) fn ask(&self, ticket: Ticket, question: &Question<'_>, now: Moment) -> bool {
        let Some(desk) = self.desks.find(&question.pool.plan.name) else { return false };
        desk.ask(|| Parked::of(ticket, question, &self.back), now)
    }
}

/// A question that waits at a desk, or has been taken from it.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(super) ticket: Ticket,
    pub(super) back: Arc<Mailbox>,
    pub(super) pool: Arc<Pool>,
    pub(super) until: Moment,
    pub(super) asked: Asked,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whom the policy may choose: indices in the plan's order.
    pub candidates: Vec<u32>,
    /// How many are in flight to each of them.
    pub active: Vec<u32>,
    /// The listener's name.
    pub listener: String,
    /// The client; `None` on a Unix socket.
    pub client: Option<SocketAddr>,
    /// Backends that were tried before.
    pub attempts: u32,
    /// The request's head as it goes on; empty on tcp.
    pub head: Vec<u8>,
    /// The beginning of its body, if that is wanted.
    pub body: Vec<u8>,
    /// How long the answer is waited for, from when the question was taken.
    pub left: Duration,
}

/// What was said to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This backend of the plan.
    Chosen(u32),
    /// No preference.
    Abstained,
    /// It failed.
    Failed,
}

impl Parked {
    fn of(ticket: Ticket, question: &Question<'_>, back: &Arc<Mailbox>) -> Parked {
        let asked = Asked {
            candidates: question.candidates.iter().map(|slot| slot.0).collect(),
            active: Vec::new(),
            listener: question.listener.to_owned(),
            client: question.client,
            attempts: question.attempts,
            head: question.head.to_vec(),
            body: question.body.to_vec(),
            left: Duration::ZERO,
        };
        Parked {
            ticket,
            back: Arc::clone(back),
            pool: Arc::clone(question.pool),
            until: question.until,
            asked,
        }
    }

    /// The question as it is now.
    pub(super) fn show(&mut self, now: Moment) -> Asked {
        let active = |slot: &u32| self.pool.backend(Slot(*slot)).active();
        let mut asked = std::mem::take(&mut self.asked);
        asked.active = asked.candidates.iter().map(active).collect();
        asked.left = self.until.since(now);
        asked
    }
}

impl Default for Asked {
    fn default() -> Asked {
        Asked {
            candidates: Vec::new(),
            active: Vec::new(),
            listener: String::new(),
            client: None,
            attempts: 0,
            head: Vec::new(),
            body: Vec::new(),
            left: Duration::ZERO,
        }
    }
}

type Verdicts = Vec<(Ticket, Verdict)>;

/// Takes answers back to the workers that asked, each worker waken once.
pub(super) fn bring_back(answers: Vec<(Parked, Answer)>) {
    let mut boxes: Vec<(Arc<Mailbox>, Verdicts)> = Vec::new();
    for (parked, answer) in answers {
        let verdict = match answer {
            Answer::Chosen(slot) => Verdict::Chosen(Slot(slot)),
            Answer::Abstained => Verdict::Abstained,
            Answer::Failed => Verdict::Failed,
        };
        let known = boxes.iter().position(|(back, _)| Arc::ptr_eq(back, &parked.back));
        let at = known.unwrap_or_else(|| {
            boxes.push((Arc::clone(&parked.back), Vec::new()));
            boxes.len() - 1
        });
        boxes[at].1.push((parked.ticket, verdict));
    }
    for (back, verdicts) in boxes {
        back.put(Command::Verdicts(verdicts));
    }
}
