//! How many dialogues begin: a client asks, and somebody has its request.

use crate::keep::{GET, OK};
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

/// Both backends have been quick so far, for requests like `bytes`: late is as soon as can be.
/// `L0` and `L1` are kept, the clients have left.
pub(crate) fn known(setup: Setup, bytes: &str) -> Dialogue {
    let mut told = dialogue(setup);
    for nth in 0..2 {
        told.client_connects().wants_nothing();
        told.sends(Who::Client(nth), bytes).wants([connect(nth)]);
        told.connected(Who::Link(nth)).whatever();
    }
    for round in 0..10 {
        told.after(ms(1)).whatever();
        for nth in 0..2 {
            told.sends(Who::Link(nth), OK).wants([answer(Who::Client(nth), 200).body("hi")]);
        }
        for nth in 0..if round < 9 { 2 } else { 0 } {
            told.sends(Who::Client(nth), bytes).whatever();
        }
    }
    for nth in 0..2 {
        told.finishes(Who::Client(nth)).wants([close(Who::Client(nth))]);
    }
    told
}
