//! How many dialogues begin: a client asks, and somebody has its request.

use crate::keep::GET;
use crate::script::{dialogue, Dialogue};
use crate::setup::{ms, Setup};
use crate::wants::*;

/// May be made again, but not in two places at once.
pub(crate) const PUT: &str =
    "PUT /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody";

/// A client has sent `bytes`, and a connection to the first backend is being made.
pub(crate) fn asked(setup: Setup, bytes: impl AsRef<[u8]>) -> Dialogue {
    let mut told = dialogue(setup);
    told.client_connects().wants_nothing().client_sends(bytes).wants([connect(0)]);
    told
}

/// They have been sent over `L0`.
pub(crate) fn sent(setup: Setup, bytes: impl AsRef<[u8]>) -> Dialogue {
    let mut told = asked(setup, bytes);
    told.connected(L0).whatever();
    told
}

/// A GET was late on `L0`, and has been sent over `L1`, too.
pub(crate) fn sent_twice(setup: Setup) -> Dialogue {
    let mut told = sent(setup, GET);
    told.after(ms(252)).wants([connect(1)]).connected(L1).wants([request(L1, "GET /a")]);
    told
}
