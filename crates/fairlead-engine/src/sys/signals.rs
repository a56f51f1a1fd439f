//! Keeps signals away from worker threads.
//!
//! A signal of the process goes to any thread that doesn't block it. It is meant for the main
//! thread of Python, whose handler runs there; a worker would only be interrupted by it.
#![expect(unsafe_code, reason = "rustix has no signal mask of a thread outside its unstable parts")]

use std::mem::MaybeUninit;

/// Signals that the kernel raises for the very instruction a thread executes. Blocking those
/// would end the process without its crash report.
const SYNCHRONOUS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// Blocks all signals in the calling thread, except for those that its own faults raise.
pub(crate) fn block_in_this_thread() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the whole set and fails only for an invalid address; the
    // pointers of the other calls are to that set, which lives to the end of the block. The mask
    // of the calling thread is all that is changed.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in SYNCHRONOUS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}
