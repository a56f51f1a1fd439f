//! A dialogue: what happens, what is wanted then, and both columns when they don't fit.

mod asked;

use std::fmt::Write;
use std::net::SocketAddr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::{BackendState, Registry, Rules};
use fairlead_flow::Verdict;
use fairlead_flow::{ChaosRun, Flow, IoFailure, ListenerId, PathState, Peer, Sent, Snapshot};
use fairlead_model::chaos::{ChaosPlan, Fault, WHOLE};
use fairlead_model::event::Event;
use fairlead_model::health::{Evidence, Health, Origin};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Plan;

use crate::desk::Desk;
use crate::setup::Setup;
use crate::wants::{shown, Want, Who, CLIENT};

/// A dialogue under way.
pub(crate) struct Dialogue {
    flow: Flow,
    desk: Desk,
    now: Moment,
    registry: Registry,
    snapshot: Arc<Snapshot>,
    clients: usize,
    events: Vec<Event>,
    /// What happened so far, and what was wanted then.
    told: Vec<(String, Vec<String>)>,
    /// Somebody has said what is wanted after the last happening.
    answered: bool,
}

/// Begins a dialogue; the configuration is in force, nobody is there yet.
pub(crate) fn dialogue(setup: Setup) -> Dialogue {
    let mut registry = Registry::new();
    let snapshot = build(setup.plan, &mut registry, None);
    let mut dialogue = Dialogue {
        flow: Flow::new(0, 1, 1),
        desk: Desk::default(),
        // Not zero: a moment that nothing was set to must not look like one in the past.
        now: Moment(1_000_000_000),
        registry,
        snapshot: Arc::clone(&snapshot),
        clients: 0,
        events: Vec::new(),
        told: Vec::new(),
        answered: true,
    };
    dialogue.happens("the configuration is published", |flow, desk, now| {
        flow.publish(desk, &snapshot, now);
    });
    dialogue
}

fn chaos_text(event: &Event) -> Option<&str> {
    match event {
        Event::Chaos { what, .. } => Some(what),
        _ => None,
    }
}

/// For two workers, of whom one has the dialogue.
fn build(plan: Plan, registry: &mut Registry, before: Option<&Snapshot>) -> Arc<Snapshot> {
    let ids = (0..plan.listeners.len() as u32).map(ListenerId).collect();
    Snapshot::build(plan, ids, registry, 2, before).expect("a plan that can be used")
}

impl Dialogue {
    fn happens(
        &mut self,
        what: impl Into<String>,
        call: impl FnOnce(&mut Flow, &mut Desk, Moment),
    ) -> &mut Self {
        self.must_be_answered();
        call(&mut self.flow, &mut self.desk, self.now);
        while let Some(event) = self.flow.take_event() {
            self.events.push(event);
        }
        let wishes = self.desk.wishes.iter().map(ToString::to_string).collect();
        self.told.push((what.into(), wishes));
        self.answered = false;
        self
    }

    fn must_be_answered(&mut self) {
        if !self.answered && !self.desk.wishes.is_empty() {
            self.fail("nobody said that this is wanted");
        }
        self.desk.wishes.clear();
    }

    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        let mut text =
            format!("{problem}\n\n{:<44}  wanted\n{:-<44}  {:-<40}\n", "happened", "", "");
        for (what, wishes) in &self.told {
            let mut lines = wishes.iter();
            let first = lines.next().map_or("(nothing)", String::as_str);
            let _ = writeln!(text, "{what:<44}  {first}");
            for wish in lines {
                let _ = writeln!(text, "{:<44}  {wish}", "");
            }
        }
        panic!("{text}")
    }

    // What is wanted.

    /// Exactly this is wanted now, in this order.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a list at the call reads better without &")]
    pub(crate) fn wants<const N: usize>(&mut self, wants: [Want; N]) -> &mut Self {
        let fits = wants.len() == self.desk.wishes.len()
            && wants.iter().zip(&self.desk.wishes).all(|(want, wish)| want.is(wish));
        if !fits {
            let wanted: Vec<_> = wants.iter().map(ToString::to_string).collect();
            self.fail(&format!("expected last:\n  {}", wanted.join("\n  ")));
        }
        self.answered = true;
        self
    }

    /// Nothing is wanted.
    #[track_caller]
    pub(crate) fn wants_nothing(&mut self) -> &mut Self {
        self.wants([])
    }

    /// Whatever is wanted now is said elsewhere.
    pub(crate) fn whatever(&mut self) -> &mut Self {
        self.answered = true;
        self
    }

    // What clients do.

    /// A client connects (to the first listener).
    pub(crate) fn client_connects(&mut self) -> &mut Self {
        self.connects(0, "192.0.2.1")
    }

    /// A client connects to the nth listener, from this address.
    pub(crate) fn connects(&mut self, listener: u32, from: &str) -> &mut Self {
        let who = Who::Client(self.clients);
        self.clients += 1;
        let id = self.desk.seat(who);
        let from = from.parse().expect("an address");
        let peer = Peer { address: Some(SocketAddr::new(from, 4000)), local: None };
        self.happens(format!("{who} connects"), |flow, desk, now| {
            flow.handle_accepted(desk, id, ListenerId(listener), peer, now);
        })
    }

    /// The first client sends.
    pub(crate) fn client_sends(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.sends(CLIENT, bytes)
    }

    /// The first client sends FIN.
    pub(crate) fn client_finishes(&mut self) -> &mut Self {
        self.finishes(CLIENT)
    }

    /// The first client resets.
    pub(crate) fn client_resets(&mut self) -> &mut Self {
        self.resets(CLIENT)
    }

    // What anybody does.

    /// The connect succeeds.
    pub(crate) fn connected(&mut self, who: Who) -> &mut Self {
        let id = self.desk.id(who);
        self.desk.answered(who);
        self.happens(format!("{who} is connected"), |flow, desk, now| {
            flow.handle_connected(desk, id, now);
        })
    }

    /// The connect fails.
    pub(crate) fn refused(&mut self, who: Who) -> &mut Self {
        self.connect_fails(who, IoFailure::Refused)
    }

    /// The connect fails for this reason.
    pub(crate) fn connect_fails(&mut self, who: Who, failure: IoFailure) -> &mut Self {
        let id = self.desk.id(who);
        self.desk.answered(who);
        self.desk.gone(who);
        self.happens(format!("{who}: {}", failure.text()), |flow, desk, now| {
            flow.handle_connect_failed(desk, id, failure, now);
        })
    }

    /// The next connect fails at once.
    pub(crate) fn next_connect_fails(&mut self, failure: IoFailure) -> &mut Self {
        self.desk.fails_at_once.push(failure);
        self
    }

    /// All connects fail at once from now on.
    pub(crate) fn all_connects_fail(&mut self, failure: IoFailure) -> &mut Self {
        self.desk.all_fail = Some(failure);
        self
    }

    /// Bytes come.
    pub(crate) fn sends(&mut self, who: Who, bytes: impl AsRef<[u8]>) -> &mut Self {
        let (id, bytes) = (self.desk.id(who), bytes.as_ref());
        let said: String = shown(bytes).chars().take(24).collect();
        self.happens(format!("{who} sends {said:?}"), |flow, desk, now| {
            flow.handle_data(desk, id, bytes, now);
        })
    }

    /// The driver has moved so many bytes on, and the other end's socket took them, or not all.
    pub(crate) fn forwards(&mut self, who: Who, count: u64, sent: Sent) -> &mut Self {
        let id = self.desk.id(who);
        self.happens(format!("{count} bytes of {who} went on: {sent:?}"), |flow, desk, now| {
            flow.handle_forwarded(desk, id, count, sent, now);
        })
    }

    /// FIN comes.
    pub(crate) fn finishes(&mut self, who: Who) -> &mut Self {
        let id = self.desk.id(who);
        self.happens(format!("{who} finishes"), |flow, desk, now| flow.handle_eof(desk, id, now))
    }

    /// A reset comes.
    pub(crate) fn resets(&mut self, who: Who) -> &mut Self {
        self.fails(who, IoFailure::Reset)
    }

    /// The connection fails.
    pub(crate) fn fails(&mut self, who: Who, failure: IoFailure) -> &mut Self {
        let id = self.desk.id(who);
        self.desk.gone(who);
        self.happens(format!("{who}: {}", failure.text()), |flow, desk, now| {
            flow.handle_failed(desk, id, failure, now);
        })
    }

    /// A reset is noticed on a connection that isn't being read.
    pub(crate) fn hangs_up(&mut self, who: Who) -> &mut Self {
        let id = self.desk.id(who);
        self.happens(format!("{who} hangs up"), |flow, desk, now| flow.handle_hangup(desk, id, now))
    }

    /// Its socket takes no more from now on.
    pub(crate) fn fills(&mut self, who: Who) -> &mut Self {
        self.desk.full.insert(who);
        self
    }

    /// All that was queued for it is gone.
    pub(crate) fn drains(&mut self, who: Who) -> &mut Self {
        let id = self.desk.id(who);
        self.desk.full.remove(&who);
        self.desk.queued.remove(&who);
        self.happens(format!("{who} has taken all"), |flow, desk, now| {
            flow.handle_writable(desk, id, now);
        })
    }

    /// Something has arrived on a kept connection, and nobody was told yet.
    pub(crate) fn stirs(&mut self, who: Who) -> &mut Self {
        self.desk.unquiet.insert(who);
        self
    }

    /// From now on the kernel says that so many segments sent to it are unacknowledged, and so
    /// many were sent again in its life.
    pub(crate) fn swallows(&mut self, who: Who, segments: u32, again: u32) -> &mut Self {
        let state = PathState {
            unacknowledged: segments,
            retransmitted: again,
            timeouts: 0,
            round_trip: Duration::from_micros(100),
            quiet: Duration::from_secs(60),
        };
        self.desk.paths.insert(who, state);
        self
    }

    /// Of what it was last said not to have, part was acknowledged so long ago.
    pub(crate) fn took_part_of_it(&mut self, who: Who, ago: Duration) -> &mut Self {
        self.desk.paths.get_mut(&who).expect("a path that swallows").quiet = ago;
        self
    }

    /// From now on the kernel says that it has acknowledged so many bytes in its life.
    pub(crate) fn has_taken(&mut self, who: Who, bytes: u64) -> &mut Self {
        self.desk.taken.insert(who, bytes);
        self
    }

    /// The last thing that was told of a limit of connections.
    pub(crate) fn full(&self) -> Option<(bool, &str)> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Full { full, why, .. } => Some((*full, why.as_str())),
            _ => None,
        })
    }

    /// How often the kernel was asked about a connection.
    pub(crate) fn looks(&self) -> usize {
        self.desk.looks
    }

    /// The process has as much memory as it may have, or less again.
    pub(crate) fn memory_full(&mut self, full: bool) -> &mut Self {
        let what = if full { "memory is full" } else { "memory is free" };
        self.happens(what, |flow, _, _| flow.set_memory_full(full))
    }

    // What the policy outside does.

    /// Somebody is there to be asked from now on.
    pub(crate) fn policy_listens(&mut self) -> &mut Self {
        self.snapshot.pools()[0].set_asking(true);
        self.desk.asked = Some(Vec::new());
        self
    }

    /// Nobody can be asked now, though there is a policy.
    pub(crate) fn policy_is_busy(&mut self) -> &mut Self {
        self.snapshot.pools()[0].set_asking(true);
        self.desk.asked = None;
        self
    }

    /// The answer to the oldest question.
    pub(crate) fn policy_says(&mut self, verdict: Verdict) -> &mut Self {
        let ticket = self.desk.asked.as_mut().expect("somebody listens").remove(0);
        self.happens(format!("the policy says {verdict:?}"), |flow, desk, now| {
            flow.handle_verdict(desk, ticket, verdict, now);
        })
    }

    /// So many decisions came about in this way.
    #[track_caller]
    pub(crate) fn decisions(&mut self, result: &str, count: u64) -> &mut Self {
        let families = self.snapshot.pools()[0].tallies().families();
        let counted = families["policy_decisions"][result];
        if counted != count {
            self.fail(&format!("{counted} decisions were {result}"));
        }
        self
    }

    // What the world does.

    /// Time passes; timers fire when they are due, one after the other.
    pub(crate) fn after(&mut self, pause: Duration) -> &mut Self {
        let end = self.now + pause;
        self.happens(format!("{} ms pass", pause.as_millis()), |_, _, _| {});
        while let Some(due) = self.flow.deadline().filter(|due| *due <= end) {
            // One in the past is a deadline that was not looked at for a while.
            self.now = self.now.max(due);
            self.flow.handle_timers(&mut self.desk, self.now);
        }
        self.now = end;
        while let Some(event) = self.flow.take_event() {
            self.events.push(event);
        }
        let wishes = self.desk.wishes.iter().map(ToString::to_string).collect();
        if let Some(last) = self.told.last_mut() {
            last.1 = wishes;
        }
        self
    }

    /// So much time passes, and the timer's handler panics that would resume somebody then.
    pub(crate) fn panics_after(&mut self, pause: Duration, who: Who) -> &mut Self {
        self.now = self.now + pause;
        self.desk.panics = Some(who);
        let what = format!("{} ms pass, and a panic about {who}", pause.as_millis());
        self.happens(what, |flow, desk, now| {
            let ran = catch_unwind(AssertUnwindSafe(|| flow.handle_timers(desk, now)));
            assert!(ran.is_err(), "nobody panicked");
            flow.handle_timer_panic(desk, now);
        })
    }

    /// So much time passes without a turn of the worker; then its timers are run, all at once.
    pub(crate) fn oversleeps(&mut self, pause: Duration) -> &mut Self {
        self.now = self.now + pause;
        let slept = format!("{} ms are slept through", pause.as_millis());
        self.happens(slept, Flow::handle_timers)
    }

    /// Another worker's requests are short of descriptors.
    pub(crate) fn gives_way(&mut self) -> &mut Self {
        self.happens("another worker is short of descriptors", |flow, desk, now| {
            flow.give_way(desk, now);
        })
    }

    /// A new configuration.
    pub(crate) fn reloads(&mut self, setup: Setup) -> &mut Self {
        let snapshot = build(setup.plan, &mut self.registry, Some(&self.snapshot));
        self.snapshot = Arc::clone(&snapshot);
        self.happens("a new configuration", |flow, desk, now| flow.publish(desk, &snapshot, now))
    }

    /// A fault is played at the first backend for ten seconds, at every attempt.
    pub(crate) fn plays(&mut self, fault: Fault) -> &mut Self {
        self.plays_so(fault, |_| {})
    }

    /// The same with something changed.
    pub(crate) fn plays_so(
        &mut self,
        fault: Fault,
        change: impl FnOnce(&mut ChaosPlan),
    ) -> &mut Self {
        let mut plan = ChaosPlan {
            pool: "app".into(),
            backend: self.state(0).address().into(),
            fault,
            share: WHOLE,
            from: self.now,
            until: self.now + Duration::from_secs(10),
            delay: Duration::from_secs(2),
            checks: false,
        };
        change(&mut plan);
        let run = Arc::new(ChaosRun::new(plan));
        self.happens(format!("{} is played", fault.name()), |flow, desk, now| {
            flow.play_chaos(desk, Some(run), now);
        })
    }

    /// What is played ends early.
    pub(crate) fn calms(&mut self) -> &mut Self {
        self.happens("calm", |flow, desk, now| flow.play_chaos(desk, None, now))
    }

    /// What was told of faults that are played.
    pub(crate) fn chaos_told(&self) -> Vec<&str> {
        self.events.iter().filter_map(chaos_text).collect()
    }

    /// A graceful stop begins.
    pub(crate) fn stops(&mut self) -> &mut Self {
        self.happens("stop", Flow::stop)
    }

    /// The time for the stop is over.
    pub(crate) fn abandons(&mut self) -> &mut Self {
        self.happens("the time is over", Flow::abandon)
    }

    /// A handler for this connection panicked.
    pub(crate) fn panics(&mut self, who: Who) -> &mut Self {
        let id = self.desk.id(who);
        self.happens(format!("a panic about {who}"), |flow, desk, now| {
            flow.handle_panic(desk, id, now);
        })
    }
}
