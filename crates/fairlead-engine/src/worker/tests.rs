//! Workers with real sockets.

/// Plays a bug in a handler, if the bytes ask for one.
pub(super) fn panic_if_asked(bytes: &[u8]) {
    assert!(!bytes.starts_with(b"panic, please"), "asked for by a test");
}
