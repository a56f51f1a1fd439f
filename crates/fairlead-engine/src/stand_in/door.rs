//! A listening socket, and the names that whoever asks there may call it by.
//!
//! A page in a browser can have a name of its own lead to 127.0.0.1 (DNS rebinding), and gives
//! itself away by that name. The same rule as in `python/fairlead/control/guard.py`.

use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;

use socket2::{Domain, Socket};

use crate::sys::descriptors;

/// An address at which the stand-in answers.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) socket: Socket,
    /// The admin address' own names, lower case; `None` for the control socket.
    hosts: Option<Vec<String>>,
    is_unix: bool,
}

impl Door {
    /// One at this listening socket, which stays the caller's.
    pub(super) fn open(number: RawFd, hosts: Option<Vec<String>>) -> io::Result<Door> {
        let socket = Socket::from(descriptors::duplicate(number)?);
        socket.set_nonblocking(true)?;
        let is_unix = socket.domain()? == Domain::UNIX;
        Ok(Door { socket, hosts, is_unix })
    }

    /// Whether it is another than the control socket.
    pub(super) fn is_admin(&self) -> bool {
        self.hosts.is_some()
    }

    /// Whether a `Host` is a name of this door, for a connection to this address of ours. No
    /// browser gets to a Unix socket.
    pub(super) fn goes_by(&self, host: &[u8], local: Option<IpAddr>) -> bool {
        let host = String::from_utf8_lossy(host).to_ascii_lowercase();
        let name = name(&host);
        let known = || self.hosts.iter().flatten().any(|known| known == name);
        self.is_unix || name == "localhost" || known() || is_ours(name, local)
    }
}

/// This end of a connection; `None` on a Unix socket.
pub(super) fn address(stream: &Socket) -> Option<IpAddr> {
    let local = stream.local_addr().ok()?.as_socket()?;
    Some(local.ip().to_canonical())
}

/// A `Host` without its port and brackets; the port says nothing of who asks.
fn name(host: &str) -> &str {
    let (bare, end) = host.strip_prefix('[').map_or((host, ':'), |bare| (bare, ']'));
    bare.split(end).next().unwrap_or_default()
}

/// Whether a `Host` is an address of this end. A literal can't be rebound.
fn is_ours(name: &str, local: Option<IpAddr>) -> bool {
    name.parse::<IpAddr>().is_ok_and(|address| {
        local
            .is_some_and(|local| address == local || (address.is_loopback() && local.is_loopback()))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn it_goes_by_its_own_names_and_addresses_alone() {
        let listening = TcpListener::bind("127.0.0.1:0").expect("bind");
        let door = Door::open(listening.as_raw_fd(), Some(vec!["lb.example".to_owned()]));
        let door = door.expect("open");
        let (loopback, other) = ("127.0.0.1".parse().ok(), "10.0.0.7".parse().ok());
        for host in
            ["localhost", "LocalHost:9", "LB.example:9100", "127.0.0.1", "127.8.8.8:1", "[::1]:9"]
        {
            assert!(door.goes_by(host.as_bytes(), loopback), "{host}");
        }
        for host in
            ["", ":9", "page.example", "localhost.page.example", "10.0.0.7", "[::2]", "lb.example."]
        {
            assert!(!door.goes_by(host.as_bytes(), loopback), "{host}");
        }
        assert!(door.goes_by(b"10.0.0.7:9100", other));
        assert!(!door.goes_by(b"127.0.0.1:9100", other));
        assert!(!door.goes_by(b"\xff", other));
    }
}
