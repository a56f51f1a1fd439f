//! Simulated clients: what they ask for, how they send and read, and how they leave.
//!
//! Rules of this file
//! 1. A client is strict: an answer that isn't its own, has a foreign byte, or is whole without
//!    being so, is noted as a fault.
//! 2. What a client was promised it relies on: a request whose connection ends without an answer
//!    is over, and isn't made again. Only what stood behind it in the pipeline is.
//!
//! Not here: what the requests are (`setting`) and which outcomes are right (`claims`).

mod http;
mod job;
mod stream;

use std::time::Duration;

pub(crate) use http::HttpClient;
pub(crate) use job::{Job, Leave};
pub(crate) use stream::{StreamClient, StreamJob};

use fairlead_flow::IoFailure;

use crate::network::{Network, SocketId};
use crate::report::Notes;

/// A little time between the end of one connection and the next.
const BREATH: Duration = Duration::from_millis(5);

/// One client.
#[derive(Debug)]
pub(crate) enum Client {
    /// It speaks HTTP.
    Http(HttpClient),
    /// It speaks to a tcp service.
    Stream(StreamClient),
}

impl Client {
    /// Something arrived on its connection.
    pub(crate) fn look(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        match self {
            Client::Http(client) => client.look(network, notes, socket),
            Client::Stream(client) => client.look(network, notes, socket),
        }
    }

    /// It has connected.
    pub(crate) fn connected(&mut self, network: &mut Network, notes: &mut Notes, socket: SocketId) {
        match self {
            Client::Http(client) => client.connected(network, notes, socket),
            Client::Stream(client) => client.connected(network, notes, socket),
        }
    }

    /// It could not connect: right only if the balancer was stopped. Then there is nothing more
    /// to be had.
    pub(crate) fn connect_failed(&mut self, notes: &mut Notes, failure: IoFailure, stopped: bool) {
        if !stopped {
            notes.fault(format!("a client could not connect: {}", failure.text()));
        }
        match self {
            Client::Http(client) => client.give_up(),
            Client::Stream(client) => client.give_up(),
        }
    }

    /// It is time for what it wanted to do.
    pub(crate) fn wake(&mut self, network: &mut Network, notes: &mut Notes, wish: u64) {
        match self {
            Client::Http(client) => client.wake(network, notes, wish),
            Client::Stream(client) => client.wake(network, notes, wish),
        }
    }

    /// Whether it has done all that it wanted.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Client::Http(client) => client.is_done(),
            Client::Stream(client) => client.is_done(),
        }
    }

    /// What it is waiting for, for a report of those who wait for ever.
    pub(crate) fn state(&self) -> String {
        match self {
            Client::Http(client) => client.state(),
            Client::Stream(client) => client.state(),
        }
    }
}
