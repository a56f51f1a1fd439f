//! The end of this process, with nothing of it asked.
#![expect(unsafe_code, reason = "neither rustix nor the standard library ends a process like that")]

/// Ends the process at once. What programs have registered to be done at their end is not: it may
/// want Python, and this is for when there is none.
pub(crate) fn at_once(code: i32) -> ! {
    // SAFETY: it takes a number and doesn't return; no destructor and no other thread's memory is
    // touched on the way.
    unsafe { libc::_exit(code) }
}
