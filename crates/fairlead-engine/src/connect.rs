//! Starts a connect.
//!
//! Whether it succeeds is learned later, from the poller (`connection`); only what is known at
//! once is answered here.

use std::net::SocketAddr;

use fairlead_flow::driver::Outgoing;
use fairlead_model::backend::Endpoint;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix};

use crate::connection::{Connection, Phase};
use crate::sys::socket;

/// Starts to connect to `to`.
pub(crate) fn start(to: &Endpoint, how: Outgoing) -> Result<Connection, Errno> {
    match to {
        Endpoint::Tcp(address) => start_tcp(*address, how),
        Endpoint::Unix(path) => start_unix(path),
    }
}

fn start_tcp(address: SocketAddr, how: Outgoing) -> Result<Connection, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let stream = socket::stream(family)?;
    socket::set_up_tcp(&stream, how.keepalive)?;
    if let Some(source) = how.source {
        socket::bind_source(&stream, source)?;
    }
    match rustix::net::connect(&stream, &address) {
        // Also when it succeeded at once: the poller says so at its next turn.
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {
            Ok(Connection::new(stream, Phase::Connecting(address.port())))
        }
        Err(error) => Err(error),
    }
}

fn start_unix(path: &str) -> Result<Connection, Errno> {
    let stream = socket::stream(AddressFamily::UNIX)?;
    // A Unix socket connects at once or not at all.
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    Ok(Connection::new(stream, Phase::Connected))
}
