//! The border that panics don't cross.
//!
//! A panic in a handler is a bug that costs one connection: it is caught, told as an event with
//! its message and place, and the worker goes on. Other threads of the process keep whatever
//! panic hook they had.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    /// In a worker's thread: message and place of the last panic. `None` in all other threads.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics of the calling thread silent: [`catch`] returns what they said.
pub(crate) fn cover_this_thread() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                before(info);
            }
        }));
    });
    LAST.with_borrow_mut(|last| *last = Some(String::new()));
}

/// Keeps what is known of a panic; false in a thread that isn't covered.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
    let text = format!("{}{}", message(info.payload()), place.unwrap_or_default());
    LAST.with_borrow_mut(|last| last.as_mut().map(|last| *last = text).is_some())
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Runs `work`; a panic in it becomes its message.
///
/// What `work` changed may be half done. The caller throws away what belongs to the connection in
/// question; all else that handlers touch is plain data, whole after each statement.
#[inline]
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let noted = LAST.with_borrow_mut(|last| last.as_mut().map(std::mem::take));
        // A payload can panic when it is dropped; that one would get through.
        let text = message(payload.as_ref()).to_owned();
        std::mem::forget(payload);
        noted.filter(|noted| !noted.is_empty()).unwrap_or(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let caught = std::thread::spawn(|| {
            cover_this_thread();
            let first = catch(|| panic!("what happened")).expect_err("a panic");
            let second = catch(|| 7).expect("no panic");
            let third = catch(|| {
                let empty: Vec<u8> = Vec::new();
                empty[std::hint::black_box(3)]
            });
            (first, second, third.expect_err("a panic"))
        });
        let (first, second, third) = caught.join().expect("no panic leaves");
        assert!(first.starts_with("what happened (") && first.contains("guard.rs:"), "{first}");
        assert_eq!(second, 7);
        assert!(third.contains("out of bounds"), "{third}");
    }
}
