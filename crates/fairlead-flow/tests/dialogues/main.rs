//! The flow, event by event: what happens stands to the left, what it wants to the right.
//!
//! A dialogue drives one real `Flow` through a driver that does nothing but write down what is
//! wanted. Each thing that happens is followed by all that it led to; a wish that nobody expected
//! is as wrong as one that didn't come, and the whole dialogue is shown in two columns then.
//! Connections to backends have numbers in the order in which they were asked for (`L0`, `L1`, …);
//! `connect(0)` says to which backend.
//!
//! One file for each behaviour.

mod desk;
mod openings;
mod script;
mod setup;
mod wants;

mod abort;
mod bulk;
mod chaos;
mod cut;
mod decisions;
mod failover;
mod framing;
mod hedge;
mod hold;
mod hosts;
mod interim;
mod keep;
mod limits;
mod opinion;
mod outlier;
mod path;
mod pressure;
mod probes;
mod proxy;
mod reload;
mod room;
mod routes;
mod shortage;
mod slow;
mod stall;
mod stop;
mod tcp;
mod tcp_again;
mod tcp_silence;
mod timeouts;
mod upgrade;
