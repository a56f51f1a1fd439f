//! HTTP: one client connection, its requests one after the other, and who answers them.
//!
//! The order of things, one file each: [`client`] reads heads and decides what comes next on a
//! connection; [`exchange`] is one request and its answer, whatever carries it; [`begin`] makes it
//! of a head; [`attempt`] gets it to a backend, and to another when that fails; [`body`] passes its
//! body on; [`wait`] looks after it until it is answered; [`hedge`] gets it to a second one when
//! the first is late, and [`cut`] takes it off one that is silent; [`opinion`] asks a second one about an error; [`relay`] brings the answer
//! back, and [`broken`] is what breaks off on the way; [`finish`] ends it; [`blame`] says what a
//! failure means for its backend; [`answer`] is what fairlead says itself. [`pace`] says who is too
//! slow, [`room`] who has to go for a newcomer.

pub(crate) mod answer;
pub(crate) mod attempt;
pub(crate) mod begin;
pub(crate) mod blame;
pub(crate) mod body;
pub(crate) mod broken;
pub(crate) mod client;
pub(crate) mod cut;
pub(crate) mod exchange;
pub(crate) mod finish;
pub(crate) mod hedge;
pub(crate) mod opinion;
pub(crate) mod pace;
pub(crate) mod relay;
pub(crate) mod room;
pub(crate) mod wait;
