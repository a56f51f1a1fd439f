//! Everything that is known of one backend, shared by all workers and kept over reloads.
//!
//! Rules of this file
//! 1. What every request touches is an atomic on a cache line of its own (in-flight count,
//!    latency) or of one worker's own (counters). Nothing of it takes a lock.
//! 2. What changes seldom (health and its evidence) is a [`Tracker`] behind a lock, with its
//!    outcome copied into atomics that picks read.
//! 3. Each change of what may be picked moves the pool's epoch.
//!
//! Not here: the ways in of evidence (`health`), which health follows from which evidence
//! (tracker), who is picked (view).

mod health;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicU8, AtomicUsize};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use crate::answered::Kind;
use crate::deadline::LearnedTime;
use crate::history::{Change, History};
use crate::latency::{Estimate, Latency};
use crate::lock::Lock;
use crate::pool::Shared;
use crate::recent::{Recent, Totals};
use crate::standing::Standing;
use crate::stats::{BackendStats, Shard};
use crate::timing::Timings;
use crate::tracker::Tracker;
use crate::warm;

/// The highest weight.
pub const WEIGHT_MAX: u16 = 256;

/// It came back long ago, or was there from the beginning.
const WARM: u64 = 0;

/// It came back and nobody has looked since: its slow start begins with the next look.
const COLD: u64 = u64::MAX;

/// Stands for no score at all.
const NO_SCORE: u16 = u16::MAX;

/// One backend of one pool.
#[derive(Debug)]
pub struct BackendState {
    pool: String,
    address: String,
    shared: Arc<Shared>,
    health: AtomicU8,
    standing: AtomicU8,
    wish: AtomicU8,
    weight: AtomicU16,
    /// What a policy makes of it, in the place of its weight.
    score: AtomicU16,
    /// A request that goes well would change something.
    forgivable: AtomicBool,
    on_trial: AtomicBool,
    probing: AtomicBool,
    /// When it came back, in nanoseconds; [`WARM`] or [`COLD`].
    back: AtomicU64,
    endpoint: AtomicUsize,
    /// When its check last passed, in nanoseconds.
    passed: AtomicU64,
    hot: CachePadded<Hot>,
    connects: LearnedTime,
    responses: LearnedTime,
    checks: LearnedTime,
    tracker: Lock<Tracker>,
    history: Lock<History>,
    recent: Lock<Recent>,
    shards: Box<[CachePadded<Shard>]>,
}

/// What each request changes, whichever worker's: on a cache line that nothing else is on.
#[derive(Debug, Default)]
struct Hot {
    active: AtomicU32,
    latency: Latency,
}

impl BackendState {
    pub(crate) fn new(
        pool: &str,
        address: &str,
        shared: Arc<Shared>,
        wish: Wish,
        weight: u16,
        workers: usize,
    ) -> BackendState {
        BackendState {
            pool: pool.to_owned(),
            address: address.to_owned(),
            shared,
            health: AtomicU8::new(Health::Unknown as u8),
            standing: AtomicU8::new(Standing::Well as u8),
            wish: AtomicU8::new(wish as u8),
            weight: AtomicU16::new(weight.min(WEIGHT_MAX)),
            score: AtomicU16::new(NO_SCORE),
            forgivable: AtomicBool::new(true),
            on_trial: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            back: AtomicU64::new(WARM),
            endpoint: AtomicUsize::new(0),
            passed: AtomicU64::new(0),
            hot: CachePadded::default(),
            connects: LearnedTime::of_connects(),
            responses: LearnedTime::of_responses(),
            checks: LearnedTime::of_checks(),
            tracker: Lock::default(),
            history: Lock::default(),
            recent: Lock::default(),
            shards: (0..workers.max(1)).map(|_| CachePadded::default()).collect(),
        }
    }

    /// The pool's name.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// The address as configured.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the operator wants of it.
    #[inline]
    pub fn wish(&self) -> Wish {
        Wish::from_u8(self.wish.load(Relaxed))
    }

    /// Its weight now, 0 to 256.
    #[inline]
    pub fn weight(&self) -> u16 {
        self.weight.load(Relaxed)
    }

    /// What a policy makes of it: 0 to 256 in the place of its weight; `None` where none does.
    #[inline]
    pub fn score(&self) -> Option<u16> {
        let score = self.score.load(Relaxed);
        (score != NO_SCORE).then_some(score)
    }

    /// Takes a score, 256 at most. Says whether that changed anything; views are told by
    /// [`Pool::set_scores`](crate::Pool::set_scores), once for all backends.
    pub(crate) fn set_score(&self, score: Option<u16>) -> bool {
        let score = score.map_or(NO_SCORE, |score| score.min(WEIGHT_MAX));
        self.score.swap(score, Relaxed) != score
    }

    /// Requests or connections in flight to it, over all workers.
    #[inline]
    pub fn active(&self) -> u32 {
        self.hot.active.load(Relaxed)
    }

    /// Follows an operator's wish. Says whether that changed anything.
    pub fn set_wish(&self, wish: Wish) -> bool {
        let changed = self.wish.swap(wish as u8, Relaxed) != wish as u8;
        if changed && wish == Wish::Enabled {
            self.chill();
        }
        if changed {
            self.shared.bump();
        }
        changed
    }

    /// Follows an operator's weight, 256 at most. Says whether that changed anything.
    pub fn set_weight(&self, weight: u16) -> bool {
        let weight = weight.min(WEIGHT_MAX);
        let changed = self.weight.swap(weight, Relaxed) != weight;
        if changed {
            self.shared.bump();
        }
        changed
    }

    /// Counts one more in flight, unless `max` are already. Whoever gets `true` calls
    /// [`end`](BackendState::end) once.
    #[inline]
    pub fn try_begin(&self, max: Option<u32>) -> bool {
        let Some(max) = max else {
            self.hot.active.fetch_add(1, Relaxed);
            return true;
        };
        self.hot
            .active
            .fetch_update(Relaxed, Relaxed, |active| (active < max).then_some(active + 1))
            .is_ok()
    }

    /// Counts one less in flight.
    #[inline]
    pub fn end(&self) {
        let before = self.hot.active.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "an end() without its try_begin()");
        if before == 1 && self.on_trial.load(Relaxed) {
            self.end_without_verdict();
        }
    }

    /// Requests (http) or connections (tcp) that it answered or failed.
    pub(crate) fn answered(&self) -> u64 {
        self.shards.iter().map(|shard| shard.attempts()).sum()
    }

    /// Whether it has answered often enough for others to be measured by it.
    pub(crate) fn is_measure(&self) -> bool {
        self.responses.is_settled()
    }

    /// Claims the one extra chain of probes that a backend in doubt gets, over all workers.
    pub fn claim_probe(&self) -> bool {
        !self.probing.swap(true, Relaxed)
    }

    /// Gives it back.
    pub fn release_probe(&self) {
        self.probing.store(false, Relaxed);
    }

    /// Which of the plan's endpoints was last good. Always one of the plan in force.
    pub fn endpoint(&self) -> usize {
        self.endpoint.load(Relaxed)
    }

    /// Remembers which of the plan's endpoints was good.
    pub fn set_endpoint(&self, index: usize) {
        self.endpoint.store(index, Relaxed);
    }

    /// Learns from a connect that came about.
    pub fn connect_took(&self, took: Duration) {
        self.connects.record(took);
    }

    /// From when on a connect to it is late: learned, see [`deadline`](crate::deadline).
    pub fn connect_late_after(&self) -> Duration {
        self.connects.late_after()
    }

    /// When its check last passed; the start of time if it never has.
    pub fn check_passed(&self) -> Moment {
        Moment(self.passed.load(Relaxed))
    }

    /// Learns from a check that passed.
    pub fn check_took(&self, took: Duration) {
        self.checks.record(took);
    }

    /// Whether its checks are known to take little; see [`deadline`](crate::deadline).
    pub fn checks_are_quick(&self) -> bool {
        self.checks.are_quick()
    }

    /// Learns from an answer: how long its head took.
    #[inline]
    pub fn latency_took(&self, took: Duration, now: Moment) {
        self.hot.latency.record(took, now);
        self.responses.record(took);
    }

    /// From when on an answer is late: learned, see [`deadline`](crate::deadline).
    pub fn response_late_after(&self) -> Duration {
        self.responses.late_after()
    }

    /// The same; `None` before its first answer.
    #[inline]
    pub fn response_late_learned(&self) -> Option<Duration> {
        self.responses.learned()
    }

    /// What `peak-ewma` compares.
    #[inline]
    pub fn latency(&self) -> Estimate {
        self.hot.latency.read()
    }

    /// Lets its slow start begin at the next look: it is new where others are at work, or it is
    /// another machine than before.
    pub(crate) fn chill(&self) {
        self.back.store(COLD, Relaxed);
    }

    /// What part of its share it gets, and when that grows next; `None` once it is all of it.
    pub(crate) fn warming(&self, slow_start: Duration, now: Moment) -> Option<(u16, Moment)> {
        let back = match self.back.load(Relaxed) {
            WARM => return None,
            COLD => {
                // Whoever is first decides when it began.
                let began = self.back.compare_exchange(COLD, now.0.max(1), Relaxed, Relaxed);
                began.map_or_else(|known| known, |_| now.0.max(1))
            }
            back => back,
        };
        let share = warm::share(Moment(back), slow_start, now);
        if share.is_none() {
            // Unless it has come back once more meanwhile.
            let _ = self.back.compare_exchange(back, WARM, Relaxed, Relaxed);
        }
        share
    }

    /// The part of its weight that it gets, 0 to 1: less than 1 during slow start.
    pub fn share(&self, slow_start: Duration, now: Moment) -> f64 {
        let share = match self.back.load(Relaxed) {
            WARM => None,
            COLD => Some((warm::START, now)),
            back => warm::share(Moment(back), slow_start, now),
        };
        share.map_or(1.0, |(parts, _)| f64::from(parts) / f64::from(warm::FULL))
    }

    /// The counters of one worker. Only that worker may write them.
    #[inline]
    pub fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker % self.shards.len()]
    }

    /// Whether it has answered something that was asked at `moment` or later, of this kind or
    /// (`None`) of any, whichever worker's.
    pub fn has_answered(&self, kind: Option<Kind>, moment: Moment) -> bool {
        self.shards.iter().any(|shard| shard.answered.latest(kind) >= moment)
    }

    /// Whether it has given a whole answer to something that was asked at `moment` or later.
    pub fn was_whole(&self, moment: Moment) -> bool {
        self.shards.iter().any(|shard| shard.answered.latest_whole() >= moment)
    }

    /// When its last answer began; the start of time if it has given none.
    pub fn answer_began(&self) -> Moment {
        let began = self.shards.iter().map(|shard| shard.answered.began());
        began.max().unwrap_or(Moment::ZERO)
    }

    /// Remembers a change of what an operator wants: `from` and `to` are wishes.
    pub fn note_wish(&self, from: Wish, to: Wish, now: Moment) {
        let why = "asked for".to_owned();
        let change = Change { at: now, from: from.name(), to: to.name(), why };
        self.history.hold().add(change);
    }

    /// Its last changes, oldest first.
    pub fn history(&self) -> Vec<Change> {
        self.history.hold().changes()
    }

    /// How often it became healthy, suspect and down.
    pub fn became(&self) -> [(&'static str, u64); 3] {
        self.history.hold().became()
    }

    /// Takes a reading of the counters, for rates. Whoever does so does it once a second.
    pub fn sample(&self, now: Moment) {
        let totals = self.shards.iter().fold(Totals::default(), |sum, shard| shard.add_to(sum));
        self.recent.hold().note(now, totals);
    }

    /// How long its answers take: lately, and in all.
    pub fn timings(&self) -> Timings {
        let mut timings = Timings::default();
        self.shards.iter().filter_map(|shard| shard.timing()).for_each(|one| timings.add(one));
        timings
    }

    /// Everything that people want to see.
    pub fn stats(&self, now: Moment) -> BackendStats {
        let mut stats = BackendStats::sum(self.shards.iter().map(|shard| &**shard));
        stats.rates = self.recent.hold().rates(now, stats.totals());
        let tracker = self.tracker();
        stats.health = tracker.health();
        stats.since = tracker.since();
        stats.since_seconds = stats.since.map(|since| now.since(since).as_secs_f64());
        tracker.why().clone_into(&mut stats.reason);
        drop(tracker);
        stats.wish = self.wish();
        stats.weight = self.weight();
        stats.active = self.active();
        stats.connect_late_ms = self.connect_late_after().as_secs_f64() * 1_000.0;
        stats
    }
}
