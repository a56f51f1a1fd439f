//! Starts a connect.
//!
//! Whether it succeeds is learned later, from the poller (`connection`); only what is known at
//! once is answered here.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use fairlead_flow::driver::Outgoing;
use fairlead_model::backend::Endpoint;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix};

use crate::connection::{Connection, Phase};
use crate::sys::congestion;
use crate::sys::descriptors::Reserved;
use crate::sys::socket;

/// Starts to connect to `to`; with [`Errno::MFILE`] if the descriptor would be one of the reserve,
/// and it is not a probe that wants it.
pub(crate) fn start(to: &Endpoint, how: Outgoing, reserved: Reserved) -> Result<Connection, Errno> {
    let stream = socket::stream(match to {
        Endpoint::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
        Endpoint::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
        Endpoint::Unix(_) => AddressFamily::UNIX,
    })?;
    if reserved.has(&stream) && !how.is_probe {
        return Err(Errno::MFILE);
    }
    match to {
        Endpoint::Tcp(address) => start_tcp(stream, *address, how),
        Endpoint::Unix(path) => start_unix(stream, path),
    }
}

fn start_tcp(stream: OwnedFd, address: SocketAddr, how: Outgoing) -> Result<Connection, Errno> {
    socket::set_up_at_once(&stream)?;
    congestion::spare_loopback(&stream, address.ip());
    if how.keepalive.is_some() {
        socket::look_after(&stream, how.keepalive)?;
    }
    if let Some(source) = how.source {
        socket::bind_source(&stream, source)?;
    }
    match rustix::net::connect(&stream, &address) {
        // Also when it succeeded at once: the poller says so at its next turn.
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {
            let connection = Connection::new(stream, Phase::Connecting(address.port()));
            Ok(if how.keepalive.is_some() { connection } else { connection.looked_after_later() })
        }
        Err(error) => Err(error),
    }
}

fn start_unix(stream: OwnedFd, path: &str) -> Result<Connection, Errno> {
    // A Unix socket connects at once or not at all.
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    Ok(Connection::new(stream, Phase::Connected))
}
