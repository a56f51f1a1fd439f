//! Starts a connect.
//!
//! Whether it succeeds is learned later, from the poller (`connection`); only what is known at
//! once is answered here.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use fairlead_flow::driver::Outgoing;
use fairlead_model::backend::Endpoint;
use fairlead_model::moment::Moment;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix};

use crate::connection::{Connection, Owed, Phase};
use crate::spare::{Kind, Spares};
use crate::sys::congestion;
use crate::sys::descriptors::Reserved;
use crate::sys::ports::ChosenPorts;
use crate::sys::socket;

/// What a worker needs to open connections to backends.
#[derive(Debug)]
pub(crate) struct Opener {
    /// Descriptors that are not for clients and their requests.
    pub(crate) reserved: Reserved,
    ports: ChosenPorts,
    pub(crate) spares: Spares,
}

/// A connection that is being opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// The poller knows its socket, by the id of a connection that is over.
    pub(crate) known: bool,
}

impl Opener {
    /// That of one of so many workers of a process that may have so many descriptors.
    pub(crate) fn new(limit: u64, workers: usize) -> Self {
        Opener {
            reserved: Reserved::of(limit),
            ports: ChosenPorts::new(),
            spares: Spares::new(limit, workers),
        }
    }

    /// Starts to connect to `to`; with [`Errno::MFILE`] if the descriptor would be one of the
    /// reserve, and it is not a probe that wants it.
    pub(crate) fn start(
        &mut self,
        to: &Endpoint,
        how: Outgoing,
        now: Moment,
    ) -> Result<Opened, Errno> {
        match to {
            Endpoint::Tcp(address) => self.start_tcp(*address, how, now),
            Endpoint::Unix(path) => {
                let connection = start_unix(self.stream(AddressFamily::UNIX, how)?, path)?;
                Ok(Opened { connection, known: false })
            }
        }
    }

    fn start_tcp(
        &mut self,
        address: SocketAddr,
        how: Outgoing,
        now: Moment,
    ) -> Result<Opened, Errno> {
        let kind = Some(Kind::of(address)).filter(|_| how == Outgoing::default());
        let spare = kind.and_then(|kind| self.spares.take(kind));
        let known = spare.is_some();
        let stream = match spare {
            Some(spare) => spare,
            None => self.new_tcp(address, how)?,
        };
        socket::acknowledge_later(&stream);
        match rustix::net::connect(&stream, &address) {
            // Also when it succeeded at once: the poller says so at its next turn.
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {
                let port = Some(address.port()).filter(|port| self.ports.include(*port, now));
                let connection = Connection::new(stream, Phase::Connecting(port.unwrap_or(0)));
                let owed = Owed::new(how.keepalive.is_none(), kind);
                Ok(Opened { connection: connection.owing(owed), known })
            }
            Err(error) => Err(error),
        }
    }

    fn new_tcp(&mut self, address: SocketAddr, how: Outgoing) -> Result<OwnedFd, Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let stream = self.stream(family, how)?;
        congestion::spare_loopback(&stream, address.ip());
        if how.keepalive.is_some() {
            socket::look_after(&stream, how.keepalive)?;
        }
        if let Some(source) = how.source {
            socket::bind_source(&stream, source)?;
        }
        Ok(stream)
    }

    /// A new socket; those that are only kept go before there is none.
    fn stream(&mut self, family: AddressFamily, how: Outgoing) -> Result<OwnedFd, Errno> {
        match self.unreserved(family, how) {
            Err(Errno::MFILE | Errno::NFILE) if self.spares.give_up() => {
                self.unreserved(family, how)
            }
            made => made,
        }
    }

    fn unreserved(&self, family: AddressFamily, how: Outgoing) -> Result<OwnedFd, Errno> {
        let stream = socket::stream(family)?;
        if self.reserved.has(&stream) && !how.is_probe {
            return Err(Errno::MFILE);
        }
        Ok(stream)
    }

    /// The flow has closed a connection on which nothing waits to be sent.
    pub(crate) fn take_back(&mut self, connection: Connection) {
        if let Some(kind) = connection.spare_kind() {
            self.spares.keep(connection.socket, kind);
        }
    }
}

fn start_unix(stream: OwnedFd, path: &str) -> Result<Connection, Errno> {
    // A Unix socket connects at once or not at all.
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    Ok(Connection::new(stream, Phase::Connected))
}
