//! Out of the workers: lines of the access log, for the one thread that writes them.
//!
//! Rules of this file
//! 1. A worker never waits here. If the lock is taken, or too much waits to be written, it keeps
//!    its lines and comes again. What it can't keep either is lost (`fairlead_flow`'s log).
//! 2. Lost lines are counted, and told at most once a second.
//! 3. Everything passes in one queue, in order: lines, files opened for a new configuration,
//!    and the end of old ones. So no line ends up in the wrong file.
//!
//! Not here: what stands in a line (`fairlead_flow`), files (`output`), writing (`writer`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fairlead_balance::Lock;
use fairlead_flow::Flow;
use fairlead_model::event::Event;
use fairlead_model::limits::LOG_BYTES;
use serde::Serialize;

use crate::events::Events;
pub(crate) use crate::log::output::Output;

mod output;
mod writer;

/// Bytes that may wait to be written, from all workers together: half a second of work under full
/// load, which is longer than a disk's usual hiccup.
const QUEUE_BYTES: usize = 4 * LOG_BYTES;

/// Buffers kept for use again, and the size beyond which one isn't.
const SPARE: usize = 16;
const SPARE_BYTES: usize = LOG_BYTES / 4;

/// How often losses are told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What passes to the writer.
#[derive(Debug)]
enum Item {
    /// Lines for this place.
    Lines(Arc<str>, Vec<u8>),
    /// A place that lines will go to.
    Open(Output),
    /// No more lines will come for any other place than this one.
    Keep(Option<Arc<str>>),
    /// The file is to be opened anew: somebody has moved it.
    Reopen,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Bytes of all lines in it.
    bytes: usize,
    spare: Vec<Vec<u8>>,
    /// Where the configuration in force has lines go. Nothing else is worth waiting for.
    current: Option<Arc<str>>,
    /// The file is to be opened anew, and wasn't yet: whoever waits for room in the old one needn't.
    reopens: bool,
    /// All is to be written by then.
    end: Option<Instant>,
    ended: bool,
    thread: Option<JoinHandle<()>>,
}

/// What is known of losses.
#[derive(Debug, Default)]
struct Losses {
    /// Not told yet.
    untold: u64,
    told: Option<Instant>,
    /// What the writer suffers from.
    cause: Option<String>,
}

/// What came of an offer of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// They will be written.
    Taken,
    /// Somebody else is here just now.
    Busy,
    /// Too much waits already.
    Full,
}

/// What has become of the lines so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct LogStats {
    /// Written.
    lines: u64,
    /// Lost: the disk was full, or nobody read them.
    lost: u64,
}

impl LogStats {
    pub(crate) fn written_and_lost(self) -> [u64; 2] {
        [self.lines, self.lost]
    }
}

/// The access log of one engine.
#[derive(Debug)]
pub(crate) struct AccessLog {
    queue: Lock<Queue>,
    /// There is something for the writer.
    work: Condvar,
    /// The writer has ended.
    end: Condvar,
    lines: AtomicU64,
    lost: AtomicU64,
    losses: Lock<Losses>,
    events: Arc<Events>,
}

impl AccessLog {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        AccessLog {
            queue: Lock::default(),
            work: Condvar::new(),
            end: Condvar::new(),
            lines: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            losses: Lock::default(),
            events,
        }
    }

    // ------------------------------------------------------------------------ for the workers

    /// Takes the lines of `flow`, which are for `to`, if it can.
    pub(crate) fn offer(&self, to: &Arc<str>, flow: &mut Flow) -> Offered {
        let Some(queue) = self.queue.try_hold() else { return Offered::Busy };
        if queue.bytes >= QUEUE_BYTES {
            return Offered::Full;
        }
        self.put(queue, to, flow);
        Offered::Taken
    }

    /// Takes the last lines of `flow` for `to`, whatever waits already.
    pub(crate) fn take_last(&self, to: &Arc<str>, flow: &mut Flow) {
        if flow.log_waiting() > 0 {
            self.put(self.lock(), to, flow);
        }
    }

    fn put(&self, mut queue: MutexGuard<'_, Queue>, to: &Arc<str>, flow: &mut Flow) {
        let mut lines = queue.spare.pop().unwrap_or_default();
        flow.take_log(&mut lines);
        queue.bytes += lines.len();
        queue.items.push_back(Item::Lines(Arc::clone(to), lines));
        drop(queue);
        self.work.notify_one();
    }

    /// Counts lines that were lost.
    pub(crate) fn lose(&self, lines: u64) {
        if lines == 0 {
            return;
        }
        self.lost.fetch_add(lines, Ordering::Relaxed);
        let mut losses = self.losses.hold();
        losses.untold += lines;
        self.tell(&mut losses);
    }

    /// Tells what was lost, unless something was told just now.
    fn tell(&self, losses: &mut Losses) {
        if losses.untold == 0 || losses.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        losses.told = Some(Instant::now());
        let lost = std::mem::take(&mut losses.untold);
        let fast = || "they come faster than they can be written".to_owned();
        let why = losses.cause.clone().unwrap_or_else(fast);
        self.events.tell(Event::AccessLog { lost, why });
    }

    // ------------------------------------------------------------------------- for the engine

    /// Where lines go now.
    pub(crate) fn current(&self) -> Option<Arc<str>> {
        self.lock().current.clone()
    }

    /// Starts the writer, if there is none.
    ///
    /// # Errors
    ///
    /// A text, if the system has no more threads.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), String> {
        let mut queue = self.lock();
        if queue.thread.is_none() {
            let log = Arc::clone(self);
            let builder = std::thread::Builder::new().name("fairlead-log".to_owned());
            let thread = builder.spawn(move || writer::live(&log));
            queue.thread =
                Some(thread.map_err(|error| format!("can't start the access log: {error}"))?);
        }
        Ok(())
    }

    /// Lines will come for `to`, which was opened if it is new. Said before the workers begin.
    pub(crate) fn begin(&self, to: Option<Arc<str>>, opened: Option<Output>) {
        let mut queue = self.lock();
        queue.current = to;
        // What is opened now needn't be opened anew.
        queue.reopens &= opened.is_none();
        queue.items.extend(opened.map(Item::Open));
        drop(queue);
        self.work.notify_one();
    }

    /// All workers have begun: nothing comes for other places any more.
    pub(crate) fn settle(&self) {
        let mut queue = self.lock();
        if queue.thread.is_some() {
            let current = queue.current.clone();
            queue.items.push_back(Item::Keep(current));
        }
        drop(queue);
        self.work.notify_one();
    }

    /// Opens the file anew, because somebody may have moved it away.
    pub(crate) fn reopen(&self) {
        let mut queue = self.lock();
        if queue.thread.is_some() {
            // Standard output stays what it is.
            queue.reopens = queue.current.as_deref() != Some("-");
            queue.items.push_back(Item::Reopen);
        }
        drop(queue);
        self.work.notify_one();
    }

    /// What has become of the lines so far; `None` if nobody wants any.
    pub(crate) fn stats(&self) -> Option<LogStats> {
        self.lock().current.as_ref()?;
        let (lines, lost) = (self.lines.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        Some(LogStats { lines, lost })
    }

    /// Writes what waits, for so long at most, and ends the writer. One that hangs in a write is
    /// left to itself.
    pub(crate) fn end(&self, patience: Duration) {
        let mut queue = self.lock();
        let Some(thread) = queue.thread.take() else { return };
        let end = Instant::now() + patience;
        queue.end = Some(end);
        self.work.notify_one();
        while !queue.ended {
            // The writer looks at the time itself; a little more is for its last words.
            let left = (end + writer::LOOK * 2).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.end.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(queue);
        drop(thread.join());
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.hold()
    }
}

#[cfg(test)]
mod tests;
