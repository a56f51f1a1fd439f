//! Tells a service manager that the data plane is alive: `WATCHDOG=1`, as systemd wants it.
//!
//! What counts as alive is that every worker takes a turn when asked. Python is not asked: it may be
//! stuck for minutes without a request noticing, and a manager that killed fairlead for it would turn
//! a nuisance into an outage.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::board::Board;
use crate::mailbox::{Command, Mailbox};
use crate::thread::{OwnThread, STACK};

/// The thread that asks and tells. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watchdog {
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: OwnThread,
}

/// The workers, and where they say what they did.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) boxes: Arc<[Arc<Mailbox>]>,
    pub(crate) board: Arc<Board>,
}

impl Watchdog {
    /// Tells `to` (a path, or `@` and an abstract name) each time that `every` has passed and all
    /// workers have shown that they are alive.
    pub(crate) fn start(to: &str, every: Duration, watched: Watched) -> io::Result<Watchdog> {
        let address = address_of(to)?;
        let socket = UnixDatagram::unbound()?;
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let heard = Arc::clone(&ended);
        let tell = move || {
            // A manager that takes nothing now will be told again.
            let _ = socket.send_to_addr(b"WATCHDOG=1", &address);
        };
        let live = move || live(&heard, every, &watched, tell);
        let thread = OwnThread::start("fairlead-watch", STACK, live)?;
        Ok(Watchdog { ended, thread })
    }
}

/// A manager's socket: a path, or `@` and an abstract name.
pub(crate) fn address_of(to: &str) -> io::Result<SocketAddr> {
    match to.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(to),
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
        self.thread.join();
    }
}

fn live(
    (ended, bell): &(Mutex<bool>, Condvar),
    every: Duration,
    watched: &Watched,
    tell: impl Fn(),
) {
    for number in 1.. {
        Mailbox::put_all(&watched.boxes, || Command::Beat(number));
        if watched.board.wait_beat(number, every) {
            tell();
        }
        let held = ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = bell.wait_timeout_while(held, every, |ended| !*ended);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn it_tells_only_while_all_workers_answer() {
        let path = std::env::temp_dir().join(format!("fl-watchdog-{}", std::process::id()));
        let manager = UnixDatagram::bind(&path).expect("bind");
        manager.set_read_timeout(Some(Duration::from_secs(5))).expect("time-out");
        let boxes: Arc<[_]> =
            [Arc::new(Mailbox::new().expect("box")), Arc::new(Mailbox::new().expect("box"))].into();
        let board = Arc::new(Board::new(2));
        board.begin(0);
        board.begin(1);
        let watched = Watched { boxes: Arc::clone(&boxes), board: Arc::clone(&board) };
        let to = path.to_string_lossy().into_owned();
        let watchdog = Watchdog::start(&to, SHORT, watched).expect("start");

        board.beat(0, 1000);
        manager.set_read_timeout(Some(SHORT * 5)).expect("time-out");
        assert!(manager.recv(&mut [0; 32]).is_err(), "one of two is silent");
        board.beat(1, 1000);
        manager.set_read_timeout(Some(Duration::from_secs(5))).expect("time-out");
        let mut text = [0; 32];
        let count = manager.recv(&mut text).expect("told");
        assert_eq!(&text[..count], b"WATCHDOG=1");
        drop(watchdog);
        std::fs::remove_file(&path).expect("clean");
    }
}
