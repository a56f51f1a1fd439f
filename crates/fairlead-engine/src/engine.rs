//! The engine as Python sees it: configurations in, status and events out.
//!
//! Rules of this file
//! 1. Every method may be called from any thread at any time. A long wait (a stop, the first
//!    checks) holds no lock.
//! 2. A configuration comes into force as a whole or not at all.
//! 3. Nothing here outlives its owner: dropping an engine ends its threads, in bounded time.

mod operator;

use std::fmt;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fairlead_balance::{BackendState, Registry, Rules};
use fairlead_flow::Snapshot;
use fairlead_model::event::Event;
use fairlead_model::plan::Plan;

use crate::board::Board;
use crate::chaos::Chaos;
use crate::clock::Clock;
use crate::crew::Crew;
use crate::events::Events;
use crate::inherited::Inherited;
use crate::io::{Io, Wanted};
use crate::log::{AccessLog, Output};
use crate::mailbox::{Command, Open};
use crate::memory::Memory;
use crate::metrics::{self, Around, Dialect};
use crate::policy::Desks;
use crate::publish::{open_all, Bound, Ids, Problem};
use crate::sampler::Sampler;
use crate::status::{PoolStatus, Status};
use crate::sys::{descriptors, memory};
use crate::watchdog::Watchdog;
use crate::worker::Common;

/// How long workers may take to put a configuration in force before `apply` returns anyway. They
/// need one turn each.
const TURN: Duration = Duration::from_secs(5);

/// How long the last lines of the access log may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What there is no such thing as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The pool asked for.
    pub pool: String,
    /// The backend asked for.
    pub backend: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.backend.is_empty() {
            return write!(formatter, "no pool `{}` with a policy in Python", self.pool);
        }
        write!(formatter, "no backend `{}` in a pool `{}`", self.backend, self.pool)
    }
}

/// A load balancer in this process.
#[derive(Debug)]
pub struct Engine {
    workers: usize,
    io: Wanted,
    clock: Clock,
    board: Arc<Board>,
    events: Arc<Events>,
    log: Arc<AccessLog>,
    desks: Arc<Desks>,
    memory: Arc<Memory>,
    /// The process that made it: a forked child has a copy of it, but none of its threads.
    process: u32,
    inner: Mutex<Inner>,
    /// Held at the end of a stop: whoever stops it, too, returns when all is done.
    ending: Mutex<()>,
}

/// What changes with each configuration.
#[derive(Debug, Default)]
struct Inner {
    crew: Option<Crew>,
    sampler: Option<Sampler>,
    watchdog: Option<Watchdog>,
    inherited: Vec<Inherited>,
    registry: Registry,
    snapshot: Option<Arc<Snapshot>>,
    bound: Vec<Bound>,
    ids: Ids,
    chaos: Option<Chaos>,
    accepting: bool,
    reports: u64,
    stopped: bool,
    /// Until when a stop waits for what is under way.
    stop_at: Option<Instant>,
}

impl Inner {
    /// Tells all workers to say when they have done all that they were told before.
    fn ask_for_report(&mut self) -> u64 {
        self.reports += 1;
        let number = self.reports;
        if let Some(crew) = &self.crew {
            crew.tell(|| Command::Report(number));
        }
        number
    }

    /// What the plan in force says about health in this pool.
    fn rules(&self, pool: &str) -> Option<Rules> {
        let pools = self.snapshot.as_deref().map_or(&[][..], Snapshot::pools);
        pools.iter().find(|known| known.plan.name == pool).map(|known| known.rules())
    }

    fn find(&self, pool: &str, backend: &str) -> Result<Arc<BackendState>, Unknown> {
        self.registry
            .find(pool, backend)
            .ok_or_else(|| Unknown { pool: pool.to_owned(), backend: backend.to_owned() })
    }
}

impl Engine {
    /// An engine of `workers` threads (0: one per CPU) that does nothing yet. Raises this
    /// process's limit of descriptors as far as it may.
    ///
    /// # Errors
    ///
    /// If not a single descriptor can be had.
    pub fn new(workers: usize) -> std::io::Result<Engine> {
        let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if workers == 0 { cpus() } else { workers };
        descriptors::raise_limit();
        let events = Arc::new(Events::new()?);
        let clock = Clock::new();
        Ok(Engine {
            workers,
            io: Wanted::default(),
            clock,
            board: Arc::new(Board::new(workers)),
            log: Arc::new(AccessLog::new(Arc::clone(&events))),
            desks: Arc::new(Desks::new(clock, Arc::clone(&events))),
            memory: Arc::default(),
            events,
            process: std::process::id(),
            inner: Mutex::default(),
            ending: Mutex::default(),
        })
    }

    /// The same, whose threads call the kernel as `io` says. Where many calls are made at once, they
    /// are in turns of a worker with `batch_from` events or more; `None`: as many as pay.
    #[must_use]
    pub fn with_io(mut self, io: Io, batch_from: Option<usize>) -> Engine {
        self.io = Wanted { io, batch_from: batch_from.unwrap_or(Wanted::default().batch_from) };
        self
    }

    /// Takes a listening socket that this process was started with, for the plans to come: those
    /// whose listeners have its address, or name it, use it instead of one of their own. Answers
    /// where it listens. `number` is its descriptor, which stays the caller's.
    ///
    /// # Errors
    ///
    /// Why it can't be listened on.
    pub fn inherit(&self, name: String, number: RawFd) -> Result<String, String> {
        let socket = descriptors::duplicate(number).map_err(|error| error.to_string())?;
        let inherited = Inherited::new(name, socket)?;
        let address = inherited.address().to_string();
        self.lock().inherited.push(inherited);
        Ok(address)
    }

    /// Tells the Unix datagram socket `to` (a path, or `@` and an abstract name), each time that
    /// `every` has passed, that all workers are alive; if one isn't, it isn't told. To be called
    /// after the first [`Engine::apply`].
    ///
    /// # Errors
    ///
    /// If there are no workers, or no thread for it.
    pub fn watch(&self, to: &str, every: Duration) -> std::io::Result<()> {
        let mut inner = self.lock();
        let crew = inner.crew.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        inner.watchdog = Some(Watchdog::start(to, every, crew.watched())?);
        Ok(())
    }

    /// Puts `plan` in force. The first call starts the workers; listeners are open from then on,
    /// but nothing is accepted before [`Engine::start_accepting`].
    ///
    /// # Errors
    ///
    /// All that stands in its way. Nothing has changed then.
    pub fn apply(&self, plan: Plan) -> Result<(), Vec<Problem>> {
        let mut inner = self.lock();
        if inner.stopped {
            return Err(vec![Problem::general("the engine has stopped")]);
        }
        let ids = inner.ids.of(&plan.listeners);
        let bound = open_all(&plan.listeners, &ids, &inner.bound, &inner.inherited)?;
        let applied = Event::Applied {
            listeners: plan.listeners.len(),
            pools: plan.pools.len(),
            backends: plan.pools.iter().map(|pool| pool.backends.len()).sum(),
        };
        let (log_to, log_opened) = self.open_log(&plan).map_err(|problem| vec![problem])?;
        self.start_threads(&mut inner, &plan).map_err(|problem| vec![problem])?;
        let listener_ids = plan.listeners.iter().map(|listener| ids.get(&listener.name)).collect();
        let before = inner.snapshot.clone();
        let registry = &mut inner.registry;
        let snapshot =
            Snapshot::build(plan, listener_ids, registry, self.workers, before.as_deref())
                .map_err(|problem| vec![Problem::general(problem)])?;
        self.log.begin(log_to, log_opened);
        self.publish(&mut inner, snapshot, bound);
        self.log.settle();
        inner.ids = ids;
        drop(inner);
        self.events.tell(applied);
        Ok(())
    }

    /// Starts the threads that are not there yet.
    fn start_threads(&self, inner: &mut Inner, plan: &Plan) -> Result<(), Problem> {
        if inner.crew.is_none() {
            let crew = Crew::start(self.workers, self.io, self.common());
            inner.crew = Some(crew.map_err(Problem::general)?);
        }
        if inner.sampler.is_none() {
            let (memory, events) = (Arc::clone(&self.memory), Arc::clone(&self.events));
            match Sampler::start(self.clock, memory, events) {
                Ok(sampler) => inner.sampler = Some(sampler),
                // Rates can be done without, a limit that nobody looks at can't.
                Err(error) if plan.limits.memory.is_some() => {
                    return Err(Problem::general(format!("can't watch the memory: {error}")));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn common(&self) -> Common {
        Common {
            clock: self.clock,
            board: Arc::clone(&self.board),
            events: Arc::clone(&self.events),
            log: Arc::clone(&self.log),
            desks: Arc::clone(&self.desks),
            memory: Arc::clone(&self.memory),
            boxes: Arc::new([]),
        }
    }

    /// Where the plan's access log goes, opened if it is somewhere else than now.
    fn open_log(&self, plan: &Plan) -> Result<(Option<Arc<str>>, Option<Output>), Problem> {
        let Some(log) = &plan.access_log else { return Ok((None, None)) };
        let to: Arc<str> = log.to.as_str().into();
        let is_new = self.log.current().as_ref() != Some(&to);
        let opened = is_new.then(|| Output::open(&to)).transpose();
        let problem = |why| Problem::general(format!("access log `{to}`: {why}"));
        let opened = opened.map_err(problem)?;
        self.log.start().map_err(Problem::general)?;
        Ok((Some(to), opened))
    }

    /// Opens the access log's file anew, because it may have been moved away.
    pub fn reopen_log(&self) {
        self.log.reopen();
    }

    fn publish(&self, inner: &mut Inner, snapshot: Arc<Snapshot>, bound: Vec<Bound>) {
        let open: Arc<[Open]> = bound.iter().map(|bound| bound.open.clone()).collect();
        if let Some(crew) = &inner.crew {
            crew.tell(|| Command::Publish(Arc::clone(&snapshot), Arc::clone(&open)));
        }
        let number = inner.ask_for_report();
        self.board.wait_reported(number, TURN);
        self.memory.set_limit(snapshot.limits().memory);
        if let Some(sampler) = &inner.sampler {
            sampler.follow(&snapshot);
        }
        self.desks.follow(snapshot.pools());
        inner.snapshot = Some(snapshot);
        // What isn't in the plan any more is closed with the last reference to it, here.
        inner.bound = bound;
    }

    /// Each listener's name with each of its addresses as they turned out.
    pub fn addresses(&self) -> Vec<(String, String)> {
        let text =
            |bound: &Bound| (bound.open.name.to_string(), bound.open.socket.address().to_string());
        self.lock().bound.iter().map(text).collect()
    }

    /// Waits until every probe has had one result; false if that takes longer than `timeout`.
    pub fn wait_first_checks(&self, timeout: Duration) -> bool {
        self.board.wait_checked(timeout)
    }

    /// Begins to accept, now and for listeners that later configurations add.
    pub fn start_accepting(&self) {
        let mut inner = self.lock();
        inner.accepting = true;
        if let Some(crew) = &inner.crew {
            crew.tell(|| Command::Accept);
            let number = inner.ask_for_report();
            drop(inner);
            self.board.wait_reported(number, TURN);
        }
    }

    /// What is counted and believed, as JSON.
    pub fn status(&self) -> Vec<u8> {
        let mut inner = self.lock();
        let (snapshot, bound) = (inner.snapshot.clone(), inner.bound.clone());
        let io = inner.crew.as_ref().map(|crew| crew.io().clone());
        let chaos = inner.chaos.as_mut().zip(snapshot.as_deref());
        let chaos = chaos.and_then(|(chaos, snapshot)| chaos.open_status(snapshot, self.clock));
        drop(inner);
        let status = Status::of(snapshot.as_deref(), &bound, &self.common());
        let status = status.with_log(self.log.stats()).with_chaos(chaos).with_io(io);
        serde_json::to_vec(&status).expect("strings and numbers can always be written")
    }

    /// The same about one pool alone; `None` if there is none of this name.
    pub fn pool_status(&self, name: &str) -> Option<Vec<u8>> {
        let snapshot = self.lock().snapshot.clone()?;
        let pool = snapshot.pools().iter().find(|pool| pool.plan.name == name)?;
        let status = PoolStatus::of(pool, &self.common(), self.clock.now());
        Some(serde_json::to_vec(&status).expect("strings and numbers can always be written"))
    }

    /// The names of all pools, in the plan's order.
    pub(crate) fn pool_names(&self) -> Vec<String> {
        let snapshot = self.lock().snapshot.clone();
        let pools = snapshot.as_deref().map_or(&[][..], Snapshot::pools);
        pools.iter().map(|pool| pool.plan.name.clone()).collect()
    }

    /// Whether a stop has begun.
    pub(crate) fn has_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The same numbers as text, for monitoring systems. In `OpenMetrics` without the last line,
    /// `# EOF`, so that more can be added.
    pub fn metrics(&self, dialect: Dialect) -> String {
        let snapshot = self.lock().snapshot.clone();
        let (board, events, desks) = (&*self.board, &*self.events, &*self.desks);
        let (log, now, memory) = (self.log.stats(), self.clock.now(), &*self.memory);
        let around = Around { board, events, desks, memory, log, now };
        metrics::render(snapshot.as_deref(), &around, dialect)
    }

    fn wake(&self) {
        if let Some(crew) = &self.lock().crew {
            crew.wake();
        }
    }

    /// The descriptor that is readable while there are events; the same for the engine's life.
    pub fn event_fd(&self) -> RawFd {
        self.events.descriptor()
    }

    /// Takes all events out, each as a JSON object with its time.
    pub fn take_events(&self) -> Vec<Vec<u8>> {
        self.events.take()
    }

    /// Stops gracefully: closes the listeners, finishes what is under way, and after `timeout`
    /// gives up what is left. True if nothing was. Called again, also while it is at it, it may
    /// take less time, but no more.
    pub fn stop(&self, timeout: Duration) -> bool {
        let mut inner = self.lock();
        inner.stopped = true;
        let end = Instant::now() + timeout;
        let end = inner.stop_at.map_or(end, |other| end.min(other));
        inner.stop_at = Some(end);
        inner.bound.clear();
        if inner.crew.is_none() {
            return true;
        }
        if let Some(crew) = &inner.crew {
            crew.tell(|| Command::Stop);
        }
        let number = inner.ask_for_report();
        drop(inner);
        // Twice: what one worker handed to another just before its stop is in that one's box.
        self.board.wait_reported(number, TURN);
        let number = self.lock().ask_for_report();
        self.board.wait_reported(number, TURN);
        let idle = self.board.wait_idle(end.saturating_duration_since(Instant::now()));
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inner = self.lock();
        let (crew, sampler) = (inner.crew.take(), inner.sampler.take());
        let watchdog = inner.watchdog.take();
        drop(inner);
        drop((sampler, watchdog));
        if let Some(crew) = crew {
            crew.end();
        }
        self.desks.close();
        self.log.end(LAST_LINES);
        drop(ending);
        idle
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut inner = self.lock();
        let (crew, sampler) = (inner.crew.take(), inner.sampler.take());
        let watchdog = inner.watchdog.take();
        drop(inner);
        if self.process != std::process::id() {
            // The threads are the parent's; here is nobody to wait for.
            std::mem::forget((crew, sampler, watchdog));
            return;
        }
        drop((sampler, watchdog));
        self.desks.close();
        if let Some(crew) = crew {
            crew.end();
        }
        self.log.end(LAST_LINES);
    }
}

/// Has memory that was freed given back to the system at once, in the whole process.
pub fn give_back_memory() {
    memory::give_back_at_once();
}

/// How many descriptors this process may have, after raising the limit as far as it may be.
pub fn file_limit() -> u64 {
    descriptors::raise_limit()
}
