//! Heeds signals while Python doesn't: a stop must not depend on users' Python.
//!
//! Whoever keeps the interpreter's lock keeps Python from its handlers. What the C of Python does
//! when a signal comes needs no lock: it writes the signal's number to a descriptor
//! (`signal.set_wakeup_fd`). That descriptor is the end of a pipe here, and what comes out of it is
//! passed on to Python's event loop at once, which handles it as if it had come straight.
//!
//! Rules of this file
//! 1. Python comes first. Only what it hasn't begun within a second is done here (`judge`).
//! 2. A stop that Python comes back to is one stop: `Engine::stop` may be called by both.
//! 3. Nothing here waits for Python, for a reader of standard error or for a manager.
//!
//! Not here: the stop itself (`engine`), answers to operators (`stand_in`).

mod judge;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::pipe::{pipe_with, PipeFlags};

use self::judge::{Judge, Step};
use crate::engine::Engine;
use crate::sys::{descriptors, exit, signals};
use crate::thread::{OwnThread, STACK};
use crate::watchdog::address_of;

/// How long Python may take to begin with what a signal asks for, and to come back from a stop.
/// As long as the stand-in at the control socket waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Written by ourselves: no signal has this number.
const BELL: u8 = 0;

/// Signals that wait until it is known whom to pass them on to.
const UNTOLD: usize = 64;

/// The thread that heeds signals. Dropping it ends it.
#[derive(Debug)]
pub struct Heed {
    shared: Arc<Shared>,
    thread: OwnThread,
}

/// What the threads and Python have in common.
#[derive(Debug)]
struct Shared {
    engine: Arc<Engine>,
    manager: Option<SocketAddr>,
    patience: Duration,
    /// Where numbers of signals come in, and where they come from.
    input: OwnedFd,
    output: OwnedFd,
    told: Mutex<Told>,
    /// What ends the process, for tests something else.
    exit: fn(i32),
}

#[derive(Debug, Default)]
struct Told {
    judge: Judge,
    /// Where Python's loop hears of signals, and those that came before that was known.
    python: Option<OwnedFd>,
    untold: Vec<u8>,
    /// How long a stop waits for what is under way.
    timeout: Duration,
    /// What is to be removed at the end.
    files: Vec<PathBuf>,
    /// What was left when the stop was over had to be cut.
    was_cut: bool,
    ended: bool,
}

impl Heed {
    /// Starts the thread. `timeout` is how long a stop may wait for what is under way, `manager`
    /// the socket of a service manager (a path, or `@` and an abstract name), empty for none.
    ///
    /// # Errors
    ///
    /// If there are no descriptors or no threads.
    pub fn start(engine: Arc<Engine>, timeout: Duration, manager: &str) -> io::Result<Heed> {
        Heed::start_with(engine, timeout, manager, PATIENCE, |code| exit::at_once(code))
    }

    fn start_with(
        engine: Arc<Engine>,
        timeout: Duration,
        manager: &str,
        patience: Duration,
        exit: fn(i32),
    ) -> io::Result<Heed> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // An address that is none is nobody's who waits: left over from something else.
        let manager = (!manager.is_empty()).then(|| address_of(manager).ok()).flatten();
        let told = Mutex::new(Told { timeout, ..Told::default() });
        let shared = Arc::new(Shared { engine, manager, patience, input, output, told, exit });
        let ours = Arc::clone(&shared);
        let thread = OwnThread::start("fairlead-heed", STACK, move || live(&ours))?;
        Ok(Heed { shared, thread })
    }

    /// The descriptor that the numbers of signals are to be written to; it is never blocking.
    pub fn input(&self) -> RawFd {
        self.shared.input.as_raw_fd()
    }

    /// Passes signals on to this descriptor from now on, and those that came before. It stays the
    /// caller's.
    ///
    /// # Errors
    ///
    /// If there are no descriptors, or it is none.
    pub fn pass_on_to(&self, number: RawFd) -> io::Result<()> {
        let python = descriptors::duplicate(number)?;
        let mut told = self.shared.lock();
        let untold = std::mem::take(&mut told.untold);
        pass_on(&python, &untold);
        told.python = Some(python);
        Ok(())
    }

    /// How long a stop without Python may wait for what is under way, and which files it removes.
    pub fn prepare(&self, timeout: Duration, files: Vec<PathBuf>) {
        let mut told = self.shared.lock();
        told.timeout = timeout;
        told.files = files;
    }

    /// Python has begun with what signals asked for.
    pub fn heard(&self) {
        self.change(Judge::heard);
    }

    /// Python has begun a stop.
    pub fn begun(&self) {
        self.change(Judge::begun);
    }

    /// The engine has stopped; Python was not asked yet.
    pub fn stopped(&self, finished: bool) {
        self.shared.stopped(finished);
    }

    /// Python is back from the stop, and does the rest.
    pub fn back(&self) {
        self.change(Judge::back);
    }

    fn change(&self, change: impl FnOnce(&mut Judge)) {
        change(&mut self.shared.lock().judge);
        self.shared.ring();
    }
}

impl Drop for Heed {
    fn drop(&mut self) {
        if self.thread.is_here() {
            self.shared.lock().ended = true;
            self.shared.ring();
        }
        self.thread.join();
    }
}

/// The thread's life.
fn live(shared: &Arc<Shared>) {
    signals::block_in_this_thread();
    loop {
        let mut told = shared.lock();
        if told.ended {
            return;
        }
        let next = told.judge.next(Instant::now(), shared.patience);
        drop(told);
        match next {
            Ok(Step::Stop(name)) => stop(shared, name),
            Ok(Step::ReloadWaits) => say("SIGHUP: Python is stuck, the reload waits for it"),
            Ok(step @ Step::Leave(code)) => {
                shared.leave(step.is_interrupted());
                (shared.exit)(code);
            }
            Err(until) => shared.wait(until),
        }
    }
}

/// Begins to stop, in a thread of its own: more signals may come meanwhile.
fn stop(shared: &Arc<Shared>, name: &str) {
    let begin = "Python is stuck; finishing what is under way without it, taking nothing new";
    shared.tell_manager(&format!("STOPPING=1\nSTATUS={name}: {begin}"));
    say(&format!("{name}: {begin}"));
    let ours = Arc::clone(shared);
    let run = move || {
        signals::block_in_this_thread();
        let timeout = ours.lock().timeout;
        let finished = ours.engine.stop(timeout);
        ours.stopped(finished);
    };
    let thread = std::thread::Builder::new().name("fairlead-stop".into()).stack_size(STACK);
    if thread.spawn(run.clone()).is_err() {
        // No more threads: better a stop that can't be interrupted than none.
        run();
    }
}

impl Shared {
    /// Waits until something is due, and takes in what came.
    fn wait(&self, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut one = [PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN)];
        if poll(&mut one, left.as_ref()).is_err() {
            // No memory in the kernel: there may be some soon.
            std::thread::sleep(self.patience / 20);
        }
        let mut came = [BELL; 64];
        // It fails if nothing was there to read.
        let count = rustix::io::read(&self.output, &mut came).unwrap_or(0);
        let mut signals = came[..count].to_vec();
        signals.retain(|number| *number != BELL);
        if signals.is_empty() {
            return;
        }
        let mut told = self.lock();
        let Told { judge, python, untold, .. } = &mut *told;
        match python {
            Some(python) => pass_on(python, &signals),
            None if untold.len() < UNTOLD => untold.extend_from_slice(&signals),
            None => {}
        }
        let now = Instant::now();
        for number in signals {
            judge.signal(number, now);
        }
    }

    fn stopped(&self, finished: bool) {
        let mut told = self.lock();
        told.was_cut |= !finished;
        told.judge.stopped(Instant::now());
        drop(told);
        self.ring();
    }

    /// What Python would do last.
    fn leave(&self, is_interrupted: bool) {
        let told = self.lock();
        for path in &told.files {
            // It may be gone.
            let _ = std::fs::remove_file(path);
        }
        say(match (is_interrupted, told.was_cut) {
            (true, _) => "interrupted again: cutting what is left, without Python, which is stuck",
            (false, true) => {
                "stopped without Python, which is stuck; connections that were left were cut"
            }
            (false, false) => "stopped without Python, which is stuck",
        });
    }

    fn tell_manager(&self, text: &str) {
        let Some(address) = &self.manager else { return };
        // Who takes nothing is not waited for.
        let told = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(text.as_bytes(), address)
        });
        drop(told);
    }

    fn ring(&self) {
        // It fails only when the pipe is full, and then there is enough to read.
        let _ = rustix::io::write(&self.input, &[BELL]);
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pass_on(python: &OwnedFd, signals: &[u8]) {
    // It fails when Python's loop is gone, or has not read for long: then it is judged as stuck.
    let _ = rustix::io::write(python, signals);
}

/// Says a line to people, if standard error takes it at once.
fn say(line: &str) {
    let text = format!("fairlead: {line}\n");
    let error = rustix::stdio::stderr();
    let mut one = [PollFd::from_borrowed_fd(error, PollFlags::OUT)];
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut one, Some(&none)).is_ok_and(|count| count > 0) {
        // A line that nobody reads is no reason to wait.
        let _ = rustix::io::write(error, text.as_bytes());
    }
}
