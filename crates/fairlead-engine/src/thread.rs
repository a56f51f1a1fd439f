//! A thread beside the workers: made with a name and a small stack, joined by whoever ends it.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// What these threads do needs little; the usual 2 MiB would count where memory is limited strictly.
pub(crate) const STACK: usize = 128 * 1024;

/// One such thread.
#[derive(Debug)]
pub(crate) struct OwnThread {
    handle: Mutex<Option<JoinHandle<()>>>,
    /// The process that made it: a forked child has a copy of this, but not the thread.
    process: u32,
}

impl OwnThread {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If the system has no more threads.
    pub(crate) fn start(
        name: &str,
        stack: usize,
        live: impl FnOnce() + Send + 'static,
    ) -> io::Result<OwnThread> {
        let thread = Builder::new().name(name.to_owned()).stack_size(stack).spawn(live)?;
        Ok(OwnThread { handle: Mutex::new(Some(thread)), process: std::process::id() })
    }

    /// Whether it runs in this process. If not, it is the parent's, and so is whoever may have held
    /// a lock.
    pub(crate) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether it has ended, and somebody has waited for that.
    #[cfg(test)]
    pub(crate) fn is_joined(&self) -> bool {
        self.handle.lock().expect("lock").is_none()
    }

    /// Waits until it has ended, for which it has been told to. Where it isn't there is nothing to
    /// wait for.
    pub(crate) fn join(&self) {
        if !self.is_here() {
            if let Ok(mut handle) = self.handle.try_lock() {
                std::mem::forget(handle.take());
            }
            return;
        }
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            // It holds nothing that a panic could have spoiled.
            drop(handle.join());
        }
    }
}
