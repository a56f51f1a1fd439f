//! How TCP finds its speed towards this machine itself.
//!
//! Some ways (BBR) send by the clock: a timer of the kernel wakes the sender for each few segments.
//! That is for a network's queues; loopback has none, and a GiB through it costs twice as much with
//! it as without (docs/design/011-loopback.md). Where the system's own way is such a one, sockets
//! whose other ends are this machine have Reno instead, which every kernel has and which waits for
//! nothing but acknowledgements. Other systems, and all other connections, are left alone.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::net::{sockopt, AddressFamily};

use super::socket;

/// Whether the system's own way paces. Found out once: it is asked for at each connect.
static PACES: OnceLock<bool> = OnceLock::new();

/// Spares `socket` the pacing, if whoever it is to talk to has one of this machine's own addresses
/// for itself. To be asked before it connects or listens (accepted sockets inherit it): what has
/// begun to pace goes on doing so.
pub(crate) fn spare_loopback(socket: impl AsFd, other: IpAddr) {
    if other.to_canonical().is_loopback() && *PACES.get_or_init(system_paces) {
        // Where the kernel doesn't take it, it goes on as slowly as before.
        let _ = sockopt::set_tcp_congestion(socket, "reno");
    }
}

fn system_paces() -> bool {
    let way = socket::stream(AddressFamily::INET).and_then(sockopt::tcp_congestion);
    way.is_ok_and(|name| paces(&name))
}

fn paces(name: &str) -> bool {
    name.starts_with("bbr")
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn way(socket: impl AsFd) -> String {
        sockopt::tcp_congestion(socket).expect("a TCP socket")
    }

    #[test]
    fn who_listens_on_loopback_spares_all_who_come() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let before = way(&listener);
        spare_loopback(&listener, "127.0.0.1".parse().expect("address"));
        let _client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (accepted, _) = listener.accept().expect("accept");
        let expected = if paces(&before) { "reno".to_owned() } else { before };
        assert_eq!((way(&listener), way(&accepted)), (expected.clone(), expected));
    }

    #[test]
    fn others_are_left_alone() {
        let socket = socket::stream(AddressFamily::INET).expect("socket");
        let before = way(&socket);
        for other in ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "::ffff:192.0.2.1"] {
            spare_loopback(&socket, other.parse().expect("address"));
            assert_eq!(way(&socket), before, "{other}");
        }
    }

    #[test]
    fn only_what_sends_by_the_clock_is_replaced() {
        assert!(paces("bbr") && paces("bbr2"));
        assert!(!paces("cubic") && !paces("reno") && !paces("dctcp"));
    }
}
