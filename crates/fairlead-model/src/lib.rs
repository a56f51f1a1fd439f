//! The nouns: plain data that every other crate speaks about.
//!
//! Nothing here decides, measures or moves anything. A [`plan::Plan`] is a value: it can be
//! compared, printed, hashed, and written as JSON (the form in which Python hands it over).
//!
//! Absent on purpose: sockets, clocks, threads, randomness, hash maps with random order.

#![forbid(unsafe_code)]

pub mod backend;
pub mod chaos;
pub mod event;
pub mod health;
pub mod limits;
pub mod moment;
pub mod plan;
pub mod reason;
pub mod time_of_day;
