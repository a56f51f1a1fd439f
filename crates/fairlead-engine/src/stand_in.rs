//! Answers operators at the control socket while Python doesn't, and probes at the admin address.
//!
//! Whether backends can be drained must not depend on users' Python: a policy or a check that keeps
//! the interpreter's lock would take the control socket away just when somebody needs it.
//!
//! Rules of this file
//! 1. Python comes first. When somebody connects, Python is asked for a sign of life; only if there
//!    is none for a second does this thread accept, and it stops once there is one.
//! 2. Nobody is asked while nobody connects: both sides sleep in the kernel until then.
//! 3. Whoever accepted a connection answers it. The kernel gives each to one alone, so that no
//!    request is answered twice.
//! 4. What operators wished meanwhile is kept for Python, which remembers wishes over reloads.
//!
//! 5. At the admin address, which strangers may reach, only health is told: it needs no token. The
//!    rules of who may ask for more are Python's alone. Operators go before whoever asks there.
//!
//! Not here: bytes (`exchange`), what is answered (`answer`), who may ask at a port (`door`).

mod answer;
mod door;
mod exchange;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fairlead_model::backend::Wish;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags};
use socket2::Socket;

use self::door::Door;

use crate::clock::time_of_day;
use crate::engine::Engine;
use crate::sys::signals;
use crate::thread::OwnThread;

/// How long Python may take for a sign of life. Its event loop needs a millisecond; what it is
/// kept from by garbage collection or a busy machine is over within a few hundred.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two questions to Python: so often is it woken at most by clients that come at once, or
/// while it can't accept because descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// The thread needs less to let an address go.
const MOMENT: Duration = Duration::from_micros(200);

/// How long a request may take, whole; and one of a stranger, who would keep operators waiting.
const REQUEST: Duration = Duration::from_secs(1);
const PROBE: Duration = Duration::from_millis(300);

/// It writes text into the heap; the usual 2 MiB would count where memory is limited strictly.
const STACK: usize = 256 * 1024;

/// What an operator wanted of a backend while Python didn't answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wished {
    /// The backend's pool.
    pub pool: String,
    /// Its address as configured.
    pub backend: String,
    /// Its state, if that was wished.
    pub state: Option<Wish>,
    /// Its weight, if that was wished.
    pub weight: Option<u16>,
}

/// The thread at the control socket. Dropping it ends it.
#[derive(Debug)]
pub struct StandIn {
    shared: Arc<Shared>,
    thread: OwnThread,
}

/// What the thread and Python have in common.
#[derive(Debug)]
struct Shared {
    engine: Arc<Engine>,
    told: Mutex<Told>,
    news: Condvar,
    /// Readable for Python while it is asked for a sign of life.
    asks: OwnedFd,
    /// Readable for the thread when it has to look at `told`.
    bell: OwnedFd,
}

#[derive(Debug, Default)]
struct Told {
    /// What Python says of itself: a JSON object.
    about: Vec<u8>,
    /// Questions for a sign of life so far, and up to which of them there was one.
    asked: u64,
    answered: u64,
    /// When the last question was asked.
    since: String,
    wishes: Vec<Wished>,
    /// The admin address, if there is one.
    admin: Option<Arc<Door>>,
    ended: bool,
}

impl Told {
    fn is_stuck(&self) -> bool {
        self.answered < self.asked
    }
}

impl StandIn {
    /// Starts the thread.
    ///
    /// `number` is a listening Unix socket, which stays the caller's; `about` a JSON object with
    /// what Python adds to the status.
    ///
    /// # Errors
    ///
    /// If there are no descriptors or no threads.
    pub fn start(engine: Arc<Engine>, number: RawFd, about: Vec<u8>) -> io::Result<StandIn> {
        StandIn::start_with(engine, number, about, PATIENCE)
    }

    fn start_with(
        engine: Arc<Engine>,
        number: RawFd,
        about: Vec<u8>,
        patience: Duration,
    ) -> io::Result<StandIn> {
        let listening = Door::open(number, None)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (asks, bell) = (eventfd(0, flags)?, eventfd(0, flags)?);
        let told = Mutex::new(Told { about, ..Told::default() });
        let shared = Arc::new(Shared { engine, told, news: Condvar::new(), asks, bell });
        let ours = Arc::clone(&shared);
        let live = move || ours.live(&listening, patience);
        let thread = OwnThread::start("fairlead-stand-in", STACK, live)?;
        Ok(StandIn { shared, thread })
    }

    /// From now on answers at this listening socket, too, which stays the caller's, and nowhere
    /// else but at the control socket; `None` if there is no other. `hosts` are names that a port
    /// goes by.
    ///
    /// # Errors
    ///
    /// If there are no descriptors, or it is none.
    pub fn stand_at(&self, admin: Option<(RawFd, Vec<String>)>) -> io::Result<()> {
        let admin = admin.map(|(number, hosts)| Door::open(number, Some(hosts)).map(Arc::new));
        let before = std::mem::replace(&mut self.shared.lock().admin, admin.transpose()?);
        ring(&self.shared.bell);
        // Whoever closes the one before is to be the last who has it: then it refuses at once.
        let end = Instant::now() + PAUSE;
        while before.as_ref().is_some_and(|it| Arc::strong_count(it) > 1) && Instant::now() < end {
            std::thread::sleep(MOMENT);
        }
        Ok(())
    }

    /// The descriptor that is readable while Python is to call [`StandIn::present`].
    pub fn asks(&self) -> RawFd {
        self.shared.asks.as_raw_fd()
    }

    /// Python gives a sign of life and says what it is; answers what was wished meanwhile.
    pub fn present(&self, about: Vec<u8>) -> Vec<Wished> {
        let shared = &*self.shared;
        let mut told = shared.lock();
        clear(&shared.asks);
        let was_stuck = told.is_stuck();
        told.about = about;
        told.answered = told.asked;
        let wishes = std::mem::take(&mut told.wishes);
        drop(told);
        shared.news.notify_all();
        if was_stuck {
            ring(&shared.bell);
        }
        wishes
    }

    /// Ends the thread, after the answer that it is at.
    pub fn end(&self) {
        if self.thread.is_here() {
            let mut told = self.shared.lock();
            told.ended = true;
            // Others may take the address at once.
            told.admin = None;
            drop(told);
            self.shared.news.notify_all();
            ring(&self.shared.bell);
        }
        self.thread.join();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// The thread's life.
    fn live(&self, control: &Door, patience: Duration) {
        signals::block_in_this_thread();
        while !self.lock().ended {
            let admin = self.lock().admin.clone();
            if self.wait_for_client(control, admin.as_deref()).is_none() {
                continue;
            }
            drop(admin);
            if self.ask(patience) {
                self.pause();
            } else {
                self.stand_in(control);
            }
        }
    }

    /// Waits until somebody connects, and says where; `None` if the bell rang instead.
    fn wait_for_client<'a>(&self, control: &'a Door, admin: Option<&'a Door>) -> Option<&'a Door> {
        let (wanted, admin) = (PollFlags::IN, admin.unwrap_or(control));
        let mut all = [
            PollFd::from_borrowed_fd(self.bell.as_fd(), wanted),
            PollFd::from_borrowed_fd(control.socket.as_fd(), wanted),
            PollFd::from_borrowed_fd(admin.socket.as_fd(), wanted),
        ];
        if poll(&mut all, None).is_err() {
            // No memory in the kernel: as if descriptors had run out.
            self.pause();
            return None;
        }
        let [rang, is_operator, _] = all.map(|one| !one.revents().is_empty());
        if rang {
            clear(&self.bell);
            return None;
        }
        Some(if is_operator { control } else { admin })
    }

    /// Asks Python for a sign of life; whether there was one in time.
    fn ask(&self, patience: Duration) -> bool {
        let mut told = self.lock();
        told.asked += 1;
        told.since = time_of_day().rfc3339();
        ring(&self.asks);
        let owes = |told: &mut Told| told.is_stuck() && !told.ended;
        let waited = self.news.wait_timeout_while(told, patience, owes);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_stuck()
    }

    /// Answers until there is a sign of life.
    fn stand_in(&self, control: &Door) {
        while self.is_alone() {
            let admin = self.lock().admin.clone();
            let Some(door) = self.wait_for_client(control, admin.as_deref()) else { continue };
            if !self.is_alone() {
                continue;
            }
            match door.socket.accept() {
                Ok((stream, _)) => self.serve(door, stream),
                // The client has left, or Python is back and was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.pause(),
            }
        }
    }

    fn serve(&self, door: &Door, stream: Socket) {
        if !door.is_admin() {
            exchange::serve(stream, REQUEST, |request| self.answer(request));
            return;
        }
        let local = door::address(&stream);
        exchange::serve(stream, PROBE, |request| self.answer_probe(door, local, request));
    }

    fn is_alone(&self) -> bool {
        let told = self.lock();
        told.is_stuck() && !told.ended
    }

    fn pause(&self) {
        let waited = self.news.wait_timeout_while(self.lock(), PAUSE, |told| !told.ended);
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(bell: &OwnedFd) {
    // It fails only when the counter is full, and then it is readable.
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

fn clear(bell: &OwnedFd) {
    // It fails if nothing was there to read.
    let _ = rustix::io::read(bell, &mut [0_u8; 8]);
}
