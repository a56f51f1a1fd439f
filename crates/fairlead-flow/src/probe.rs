//! Active checks: a machine for each distinct probe, whoever wants to know its result.
//!
//! Rules of this file
//! 1. Equal probes (the same place, the same question, the same times, from the same address) are
//!    made once, by one worker, and told to every pool that asked. The verdicts are each pool's own.
//! 2. A probe is judged by what came, not by when we looked: what has arrived is read before the
//!    clock is asked.
//! 3. Checks never stop for lack of traffic.
//! 4. A backend that traffic has doubts about is probed at once, by the worker that has them,
//!    until it is well or down; one such chain at a time over all workers.
//! 5. While another backend is well, and checks of this one have been quick, such a probe isn't
//!    waited for longer than [`QUICK`]: another one follows at once, because requests wait for
//!    what it finds out. One that is late so shows nothing, [`HURRIED`] in a row show that it is
//!    down. With nobody else there, and for all other probes, the check's time-out holds.

mod schedule;
mod verdict;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::deadline::QUICK;
use fairlead_balance::Rules;
use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::chaos::Fault;
use fairlead_model::health::Health;
use fairlead_model::limits::RESPONSE_HEADERS;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{CheckKind, ProxyVersion};
use fairlead_proto::http1::{Limits, Method, Parsed, Progress, ResponseHead};

pub(crate) use schedule::Probes;

use crate::chaos::News;
use crate::context::Role;
use crate::driver::{ConnId, Driver, IoFailure, Outgoing};
use crate::flow::Flow;
use crate::hosts::LocalHost;
use crate::link::introduce::header_of_ours;
use crate::local::{LocalBackend, LocalPool};
use crate::seek::millis;
use crate::slab::Key;
use crate::wheel::{Alarm, Filed};

/// Bytes of an answer to a probe that are looked at for its status.
const ANSWER_BYTES: usize = 16 * 1024;

/// So many probes in a row that had no answer in the time that checks take are as good as those
/// that waited for their time-out. A garbage collector's pause holds up one.
const HURRIED: u32 = 3;

/// What makes two probes equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) kind: CheckKind,
    /// The `Host` of an http probe.
    pub(crate) host: String,
    /// From where it connects: as traffic does, since a firewall may tell the two apart.
    pub(crate) source: Option<IpAddr>,
    pub(crate) interval: Duration,
    pub(crate) fast_interval: Duration,
    pub(crate) timeout: Duration,
    /// How the backend is told at the beginning that it is we who ask.
    pub(crate) proxy: Option<ProxyVersion>,
}

/// Who wants to know.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    pub(crate) backend: Rc<LocalBackend>,
    pub(crate) rules: Rules,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Connecting,
    Asking,
}

/// One probe, over and over.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) question: Rc<Question>,
    pub(crate) watchers: Vec<Watcher>,
    /// The silent host whose claim it holds.
    pub(crate) host: Option<Rc<LocalHost>>,
    /// Whom traffic doubts, if that began it; it ends when that is settled.
    pub(crate) doubted: Option<(Rc<LocalPool>, Slot)>,
    /// How long this round may take.
    patience: Duration,
    /// Rounds in a row that were given up before the time-out.
    hurried: u32,
    stage: Stage,
    conn: Option<ConnId>,
    /// Which endpoint this round began with: the one that was last good then.
    first: usize,
    /// Endpoints tried in this round before this one.
    nth: usize,
    pub(crate) started: Moment,
    input: Vec<u8>,
    /// How far that was looked at.
    progress: Progress,
    pub(crate) had_result: bool,
    /// Since when it has been failing, or has not brought back what it took down.
    failing_since: Option<Moment>,
    deadline: Moment,
    filed: Filed,
    /// What this round of it suffers.
    pub(crate) fault: Option<Fault>,
}

impl Probe {
    pub(crate) fn new(
        question: Rc<Question>,
        watchers: Vec<Watcher>,
        doubted: Option<(Rc<LocalPool>, Slot)>,
    ) -> Self {
        Probe {
            patience: question.timeout,
            hurried: 0,
            question,
            watchers,
            doubted,
            host: None,
            stage: Stage::Waiting,
            conn: None,
            first: 0,
            nth: 0,
            started: Moment::ZERO,
            input: Vec::new(),
            progress: Progress::default(),
            had_result: false,
            failing_since: None,
            deadline: Moment(u64::MAX),
            filed: Filed::NOTHING,
            fault: None,
        }
    }

    /// Rule 5, where checks have been quick so far: of others it is hard to say what they may take.
    fn patience(&self) -> Duration {
        let timeout = self.question.timeout;
        let Some((pool, slot)) = &self.doubted else { return timeout };
        let state = &pool.backend(*slot).state;
        let quick = state.checks_are_quick() && QUICK * HURRIED < timeout;
        let hurry = quick && state.health() == Health::Suspect && pool.has_well_other(*slot);
        if hurry {
            QUICK
        } else {
            timeout
        }
    }

    /// Whether it is a request, and not only a connect.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.question.kind, CheckKind::Http { .. })
    }

    /// Whether it waits for an answer.
    pub(crate) fn is_asking(&self) -> bool {
        self.stage == Stage::Asking
    }

    /// It waits for an answer from now on.
    pub(crate) fn note_asked(&mut self) {
        self.stage = Stage::Asking;
    }
}

impl Flow {
    /// Sets the time of a probe's next step.
    pub(crate) fn probe_arm(&mut self, key: Key, deadline: Moment) {
        if let Some(probe) = self.probes.get_mut(key) {
            probe.deadline = deadline;
            self.ctx.timers.arm(Alarm::Probe(key), deadline, &mut probe.filed);
        }
    }

    fn probe_start<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        probe.started = now;
        probe.fault = None;
        probe.first = probe.watchers.first().map_or(0, |watcher| watcher.backend.state.endpoint());
        probe.nth = 0;
        probe.patience = probe.patience();
        let deadline = now + probe.patience;
        if self.ctx.chaos.is_on() {
            self.chaos_of_probe(key, now);
        }
        self.probe_connect(d, key, now);
        if self.probes.get_mut(key).is_some_and(|probe| probe.stage != Stage::Waiting) {
            self.probe_arm(key, deadline);
        }
    }

    /// Connects to the first endpoint from `nth` on that doesn't fail at once.
    fn probe_connect<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        loop {
            let Some(probe) = self.probes.get_mut(key) else { return };
            let endpoints = &probe.question.endpoints;
            let endpoint = &endpoints[(probe.first + probe.nth) % endpoints.len()];
            let how =
                Outgoing { source: probe.question.source, is_probe: true, ..Outgoing::default() };
            match d.connect(endpoint, how) {
                Ok(conn) => {
                    probe.conn = Some(conn);
                    probe.stage = Stage::Connecting;
                    probe.input.clear();
                    probe.progress = Progress::default();
                    return self.ctx.roles.set(conn, Role::Probe(key));
                }
                // Not the backend's doing, so no verdict: try again at the next interval.
                Err(failure) if failure.is_ours() => {
                    return self.probe_schedule(d, key, false, now);
                }
                Err(failure) => {
                    probe.nth += 1;
                    if probe.nth >= endpoints.len() {
                        return self.probe_result(
                            d,
                            key,
                            false,
                            failure.text(),
                            String::new(),
                            now,
                        );
                    }
                }
            }
        }
    }

    pub(crate) fn probe_connected<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        self.probe_heard(key, true, now);
        let Some(probe) = self.probes.get_mut(key) else { return };
        let Some(conn) = probe.conn else { return };
        if probe.fault.is_some() && self.chaos_probe_connected(d, key, now) {
            return;
        }
        let Some(probe) = self.probes.get_mut(key) else { return };
        if probe.nth > 0 {
            let good = (probe.first + probe.nth) % probe.question.endpoints.len();
            for watcher in &probe.watchers {
                watcher.backend.state.set_endpoint(good);
            }
        }
        // A check is the proxy's own connection.
        let ours = probe.question.proxy.map_or_else(Vec::new, header_of_ours);
        if let CheckKind::Http { method, path, .. } = &probe.question.kind {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fairlead-check\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                probe.question.host
            );
            probe.stage = Stage::Asking;
            let _ = d.send(conn, &ours, request.as_bytes());
        } else {
            if !ours.is_empty() {
                let _ = d.send(conn, &ours, &[]);
            }
            self.probe_result(d, key, true, "connected", String::new(), now);
        }
    }

    pub(crate) fn probe_data<D: Driver>(&mut self, d: &mut D, key: Key, bytes: &[u8], now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        let CheckKind::Http { expect_status, method, .. } = &probe.question.kind else { return };
        let room = ANSWER_BYTES.saturating_sub(probe.input.len());
        probe.input.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut full = bytes.len() >= room;
        let mut head = ResponseHead::default();
        let limits = Limits { head: ANSWER_BYTES, headers: RESPONSE_HEADERS };
        let method = Method::of(method.as_bytes());
        let parsed = loop {
            let parsed = head.parse(&probe.input, method, &limits, &mut probe.progress);
            if parsed != Parsed::Complete || !head.is_interim() {
                break parsed;
            }
            probe.input.drain(..head.len());
            full = false;
            if probe.input.is_empty() {
                return;
            }
        };
        match parsed {
            Parsed::Partial if !full => {}
            Parsed::Partial => {
                self.probe_result(d, key, false, "bad answer", "its head is too large".into(), now);
            }
            Parsed::Refused(refusal) => {
                self.probe_result(d, key, false, "bad answer", refusal.what.into(), now);
            }
            Parsed::Complete => {
                let status = head.status();
                let good = expect_status.iter().any(|(from, to)| (*from..=*to).contains(&status));
                let detail = if good {
                    String::new()
                } else {
                    format!("got {status}, expected {}", ranges(expect_status))
                };
                let what = if good { "answered" } else { "wrong status" };
                self.probe_result(d, key, good, what, detail, now);
            }
        }
    }

    pub(crate) fn probe_eof<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        if self.chaos_keeps_probe(key, News::Finished, now) {
            return;
        }
        if self.probes.get_mut(key).is_some_and(|probe| probe.stage == Stage::Asking) {
            self.probe_result(d, key, false, "closed before its answer", String::new(), now);
        }
    }

    pub(crate) fn probe_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        failure: IoFailure,
        now: Moment,
    ) {
        if self.chaos_keeps_probe(key, News::Failed(failure), now) {
            return;
        }
        let Some(probe) = self.probes.get_mut(key) else { return };
        let connecting = probe.stage == Stage::Connecting;
        match failure {
            IoFailure::Refused => self.probe_heard(key, true, now),
            IoFailure::TimedOut if connecting => self.probe_heard(key, false, now),
            _ => {}
        }
        let Some(probe) = self.probes.get_mut(key) else { return };
        if let Some(conn) = probe.conn.take() {
            self.ctx.roles.clear(conn);
        }
        probe.nth += 1;
        if connecting && probe.nth < probe.question.endpoints.len() {
            return self.probe_connect(d, key, now);
        }
        self.probe_result(d, key, false, failure.text(), String::new(), now);
    }

    /// A handler for a probe panicked: this round has no verdict, and the next one will come.
    pub(crate) fn probe_give_up<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        if let Some(conn) = probe.conn.take() {
            self.ctx.roles.clear(conn);
            d.abort(conn);
        }
        probe.input = Vec::new();
        probe.had_result = true;
        self.probe_schedule(d, key, false, now);
    }

    pub(crate) fn probe_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        if !probe.filed.fired(now) {
            return;
        }
        if now < probe.deadline {
            let deadline = probe.deadline;
            return self.probe_arm(key, deadline);
        }
        match probe.stage {
            Stage::Waiting => self.probe_start(d, key, now),
            Stage::Connecting | Stage::Asking => {
                let connecting = probe.stage == Stage::Connecting;
                let what = if connecting { "no answer to the connect" } else { "no answer" };
                let early = probe.patience < probe.question.timeout;
                let mut detail = format!("within {}", millis(probe.patience));
                if early {
                    probe.hurried += 1;
                    if probe.hurried < HURRIED {
                        return self.probe_hurried(d, key, now);
                    }
                    detail = format!("{HURRIED} times {detail}");
                }
                if connecting {
                    self.probe_heard(key, false, now);
                }
                self.probe_result(d, key, false, what, detail, now);
            }
        }
    }

    /// A probe's connect had an answer, or was given up.
    fn probe_heard(&mut self, key: Key, answered: bool, now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        let endpoints = &probe.question.endpoints;
        let endpoint = endpoints[(probe.first + probe.nth) % endpoints.len()].clone();
        let started = probe.started;
        if answered {
            self.ctx.host_answered(&endpoint, now);
        } else if probe.fault.is_none() {
            self.ctx.host_silent(&endpoint, true, started, now);
        }
    }

    /// Gives a late round up for the next one.
    fn probe_hurried<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        if let Some(conn) = probe.conn.take() {
            self.ctx.roles.clear(conn);
            d.abort(conn);
        }
        probe.input = Vec::new();
        self.probe_start(d, key, now);
    }

    /// Makes a regular probe soon that is not due yet.
    pub(crate) fn probe_hurry(&mut self, key: Key, when: Moment) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        if probe.stage == Stage::Waiting && when < probe.deadline {
            self.probe_arm(key, when);
        }
    }
}

fn ranges(ranges: &[(u16, u16)]) -> String {
    let text = |(from, to): &(u16, u16)| {
        if from == to {
            from.to_string()
        } else {
            format!("{from}-{to}")
        }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}
