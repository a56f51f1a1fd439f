//! One worker: a thread, a poller, its sockets, its flow. The constructor shows the whole of it.
//!
//! Rules of this file
//! 1. One turn: wait, read the clock once, tell what happened, run timers, report. Nothing else
//!    waits, and nothing is decided here.
//! 2. Every call into the flow goes through `guard`: a panic costs the connection that it was
//!    about, and is told.
//! 3. A configuration changes between two calls into the flow, never during one.

use std::sync::Arc;
use std::time::Duration;

use fairlead_flow::driver::{ConnId, Driver};
use fairlead_flow::{ChaosRun, Flow, Snapshot, Ticket, Verdict};
use fairlead_model::event::Event;
use fairlead_model::limits::{FORWARD_BYTES, READS_PER_TURN, RECEIVE_BYTES};
use fairlead_model::moment::Moment;

use crate::accept::Listening;
use crate::board::Board;
use crate::clock::Clock;
use crate::connection::Told;
use crate::drive::{Buffer, Sockets};
use crate::events::Events;
use crate::guard;
use crate::log::AccessLog;
use crate::mailbox::{Command, Mailbox, Open};
use crate::memory::Memory;
use crate::policy::{Asking, Desks};
use crate::sys::descriptors;
use crate::sys::memory;
use crate::sys::poll::{self, Poller, Source};
use crate::sys::ring::Ring;
use crate::sys::signals;
use crate::worker::lines::Lines;

/// Rest of the timers after one of them panicked: a timer that panics each time must not spin.
const AFTER_PANIC: Duration = Duration::from_millis(10);

/// What all workers of an engine share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    pub(crate) events: Arc<Events>,
    pub(crate) log: Arc<AccessLog>,
    pub(crate) desks: Arc<Desks>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) boxes: Arc<[Arc<Mailbox>]>,
}

/// How a worker calls the kernel.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) poller: Poller,
    /// Many calls at once, in turns with so many events; `None`: each by itself.
    pub(crate) batching: Option<(Ring, usize)>,
}

/// One worker.
pub(crate) struct Worker {
    number: usize,
    common: Common,
    mailbox: Arc<Mailbox>,
    sockets: Sockets,
    flow: Flow,
    listening: Listening,
    happened: poll::Events,
    buffer: Buffer,
    now: Moment,
    /// Timers rest until then.
    timers_from: Moment,
    /// Clients and busy connections, as last said on the board.
    said: (usize, usize),
    checked: bool,
    report: Option<u64>,
    lines: Lines,
    /// When this worker last looked after the desks of policies.
    looked: Moment,
    ended: bool,
    /// Newcomers that came while memory was full: whose turn it is.
    refusals: usize,
    /// So many accepted connections may wait for another worker.
    most_handed_over: usize,
}

/// The whole life of a worker's thread.
pub(crate) fn live(number: usize, seed: u64, way: Way, common: Common) {
    signals::block_in_this_thread();
    guard::cover_this_thread();
    let mut worker = Worker::new(number, seed, way, common);
    while !worker.ended {
        if let Err(what) = guard::catch(|| worker.turn()) {
            // A bug of this crate itself, outside of all handlers. The listeners must not suffer
            // for it, nor the processor.
            worker.tell_panic(what);
            std::thread::sleep(AFTER_PANIC);
        }
    }
    let board = Arc::clone(&worker.common.board);
    drop(worker);
    board.end(number);
}

impl Worker {
    fn new(number: usize, seed: u64, way: Way, common: Common) -> Self {
        let workers = common.boxes.len();
        Worker {
            number,
            mailbox: Arc::clone(&common.boxes[number]),
            sockets: Sockets::new(way.poller, workers).batching(way.batching).with_policies(
                Asking {
                    desks: Arc::clone(&common.desks),
                    back: Arc::clone(&common.boxes[number]),
                },
            ),
            flow: Flow::new(number, workers, seed),
            listening: Listening::new(workers),
            happened: poll::Events::new(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            now: common.clock.now(),
            timers_from: Moment::ZERO,
            said: (0, 0),
            checked: false,
            report: None,
            lines: Lines::default(),
            looked: Moment::ZERO,
            ended: false,
            refusals: number,
            most_handed_over: descriptors::most_handed_over(descriptors::limit()),
            common,
        }
    }

    fn turn(&mut self) {
        self.sockets.end_turn();
        let timeout = self.timeout();
        self.sockets.poller().wait(&mut self.happened, timeout, self.now);
        self.now = self.common.clock.now();
        self.sockets.set_now(self.now);
        self.flow.set_memory_full(self.common.memory.is_full());
        // All signs are noted before the first is acted on: what is known of a kept connection
        // must be known before a request is put on it.
        for index in 0..self.happened.len() {
            if let (Source::Connection(id), signs) = self.happened.at(index) {
                self.sockets.note(id, signs);
            }
        }
        self.sockets.begin_turn(self.happened.len());
        for index in 0..self.happened.len() {
            self.sockets.look_ahead(&self.happened, index);
            match self.happened.at(index) {
                (Source::Connection(id), _) => self.serve(id),
                (Source::Listener(number), _) => self.accept(number),
                (Source::Wake, _) => self.obey(),
                // Timers are looked at after each wait.
                (Source::Alarm, _) => {}
            }
        }
        self.sockets.put_aside();
        for _ in 0..self.sockets.ready() {
            if let Some(id) = self.sockets.pop_ready() {
                self.serve(id);
            }
        }
        self.run_timers();
        self.look_after_desks();
        self.say();
    }

    /// Worker 0 sees whether policies in Python are at work: they can't tell themselves.
    fn look_after_desks(&mut self) {
        if self.desks_due().is_some_and(|at| at <= self.now) {
            self.looked = self.now;
            self.common.desks.look(self.now);
        }
    }

    fn desks_due(&self) -> Option<Moment> {
        if self.number == 0 {
            self.common.desks.deadline(self.looked)
        } else {
            None
        }
    }

    /// How long to wait for events; `None`: until there are some.
    fn timeout(&self) -> Option<Duration> {
        if self.sockets.ready() > 0 {
            return Some(Duration::ZERO);
        }
        let timers = self.flow.deadline().map(|at| at.max(self.timers_from));
        let lines = self.lines.deadline(&self.flow);
        let desks = self.desks_due();
        let deadlines = [timers, self.sockets.deadline(), self.listening.deadline(), lines, desks];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.since(self.now))
    }

    /// Tells all there is to tell about a connection, or as much as is one's turn.
    fn serve(&mut self, id: ConnId) {
        for _ in 0..READS_PER_TURN {
            let Some(told) = self.sockets.next(id, &mut self.buffer) else { return };
            self.tell(id, told);
            if matches!(told, Told::Forwarded(moved, _) if moved as u64 > FORWARD_BYTES) {
                break;
            }
        }
        self.sockets.yield_turn(id);
    }

    #[inline]
    fn tell(&mut self, id: ConnId, told: Told) {
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        let buffer = &self.buffer;
        let outcome = guard::catch(|| match told {
            Told::Data(count) => {
                #[cfg(test)]
                tests::do_as_asked(&buffer[..count]);
                flow.handle_data(sockets, id, &buffer[..count], now);
            }
            Told::Connected => flow.handle_connected(sockets, id, now),
            Told::ConnectFailed(failure) => flow.handle_connect_failed(sockets, id, failure, now),
            Told::Eof => flow.handle_eof(sockets, id, now),
            Told::Failed(failure) => flow.handle_failed(sockets, id, failure, now),
            Told::Hangup => flow.handle_hangup(sockets, id, now),
            Told::Forwarded(count, sent) => {
                flow.handle_forwarded(sockets, id, count as u64, sent, now);
            }
            Told::Writable => flow.handle_writable(sockets, id, now),
        });
        if let Err(what) = outcome {
            self.recover(id, what);
        }
    }

    /// After a panic in a handler for `id`: throws that connection and all tied to it away.
    #[cold]
    fn recover(&mut self, id: ConnId, what: String) {
        self.tell_panic(what);
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.handle_panic(sockets, id, now)) {
            self.tell_panic(what);
        }
        self.sockets.abort(id);
    }

    fn tell_panic(&self, what: String) {
        self.common.events.tell(Event::Panic { worker: self.number, what });
    }

    /// Another worker's requests have no descriptors for their backends.
    #[cold]
    fn give_way(&mut self) {
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.give_way(sockets, now)) {
            self.tell_panic(what);
        }
    }

    #[cold]
    fn ask_others_to_give_way(&self) {
        let others = self.common.boxes.iter().enumerate();
        for (_, mailbox) in others.filter(|(number, _)| *number != self.number) {
            mailbox.put(Command::GiveWay);
        }
    }

    fn run_timers(&mut self) {
        self.listening.resume(self.sockets.poller(), self.now);
        if let Some(round) = self.sockets.run_timers() {
            // It knows by itself what it can spare.
            let flow = &mut self.flow;
            if let Err(what) = guard::catch(|| flow.give_memory_back()) {
                self.tell_panic(what);
            }
            if round.peak_has_left {
                memory::give_back_now();
            }
        }
        let due = self.flow.deadline().is_some_and(|at| at <= self.now);
        if !due || self.now < self.timers_from {
            return;
        }
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.handle_timers(sockets, now)) {
            let cleared = guard::catch(|| flow.handle_timer_panic(sockets, now));
            self.tell_panic(what);
            if let Err(what) = cleared {
                self.tell_panic(what);
            }
            self.timers_from = self.now + AFTER_PANIC;
        }
    }

    /// Says what others want to know.
    fn say(&mut self) {
        while let Some(event) = self.flow.take_event() {
            self.common.events.tell(event);
        }
        if self.flow.take_shortage() {
            self.ask_others_to_give_way();
        }
        self.lines.pass_on(&mut self.flow, &self.common, self.now);
        let clients = self.flow.open_clients();
        let open = (clients, clients + self.sockets.closing());
        if open != self.said {
            self.said = open;
            self.common.board.set_open(self.number, open.0, open.1);
        }
        if !self.checked && self.flow.first_checks_done() {
            self.checked = true;
            self.common.board.set_checked(self.number, true);
        }
        if let Some(number) = self.report.take() {
            // Said again even if nothing changed here: others may have counted on us.
            self.common.board.set_open(self.number, open.0, open.1);
            self.common.board.report(self.number, number);
        }
    }

    fn obey(&mut self) {
        for command in self.mailbox.take() {
            match command {
                Command::Publish(snapshot, open) => self.publish(&snapshot, &open),
                Command::Accept => self.listening.start(self.sockets.poller(), self.now),
                Command::Adopt(socket, listener, peer) => self.adopt(socket, listener, peer),
                Command::GiveWay => self.give_way(),
                Command::Verdicts(verdicts) => self.hear(verdicts),
                Command::Chaos(run) => self.play_chaos(run),
                Command::Stop => self.stop(),
                Command::End => self.end(),
                Command::Report(number) => self.report = Some(number),
                Command::Beat(number) => self.common.board.beat(self.number, number),
            }
        }
    }

    /// A policy in Python has answered.
    fn hear(&mut self, verdicts: Vec<(Ticket, Verdict)>) {
        for (ticket, verdict) in verdicts {
            let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
            let work = || flow.handle_verdict(sockets, ticket, verdict, now);
            if let Err(what) = guard::catch(work) {
                let cleared = guard::catch(|| flow.handle_timer_panic(sockets, now));
                self.tell_panic(what);
                if let Err(what) = cleared {
                    self.tell_panic(what);
                }
            }
        }
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, open: &[Open]) {
        // Who is in the queue of a listener that leaves is served under the plan that had it.
        for leaving in self.listening.leaving(open) {
            self.empty(&leaving);
        }
        self.lines.direct(&mut self.flow, &self.common, snapshot);
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.publish(sockets, snapshot, now)) {
            self.tell_panic(what);
        }
        self.listening.replace(self.sockets.poller(), open, self.now);
        self.checked = false;
        self.common.board.set_checked(self.number, false);
    }

    fn play_chaos(&mut self, run: Option<Arc<ChaosRun>>) {
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.play_chaos(sockets, run, now)) {
            self.tell_panic(what);
        }
    }

    fn stop(&mut self) {
        for leaving in self.listening.leaving(&[]) {
            self.empty(&leaving);
        }
        self.listening.replace(self.sockets.poller(), &[], self.now);
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.stop(sockets, now)) {
            self.tell_panic(what);
        }
    }

    fn end(&mut self) {
        let (flow, sockets, now) = (&mut self.flow, &mut self.sockets, self.now);
        if let Err(what) = guard::catch(|| flow.abandon(sockets, now)) {
            self.tell_panic(what);
        }
        self.lines.pass_last_on(&mut self.flow, &self.common);
        self.ended = true;
    }
}

mod lines;
mod newcomers;
#[cfg(test)]
mod tests;
