//! Sockets: made, set up, read and written.
//!
//! Options that accepted sockets inherit are set on the listening one (Linux copies them), so
//! that a new client costs no further calls for them. Nothing here keeps state.
#![expect(unsafe_code, reason = "socket options that neither rustix nor socket2 knows")]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fairlead_flow::driver::{IoFailure, PathState};
use fairlead_model::limits::UNSENT_BYTES;
use fairlead_model::plan::Keepalive;
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType,
};

/// Silence after which an idle connection is probed. NAT tables forget after some minutes; a
/// client's radio is not woken too often.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Between two such probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered probes after which the connection is given up: a dead host is noticed in a minute.
const KEEPALIVE_PROBES: u32 = 3;
/// Retransmissions in a row, without any acknowledgement, that only a dead end needs: the first
/// comes after 200 ms or more and each next one after twice that, so the seventh after 25 s.
/// The kernel's own patience is about 15 minutes.
///
/// `TCP_USER_TIMEOUT` is the option for this, and not what is wanted: it also ends a connection
/// whose other end lives and acknowledges, but takes nothing for that long (measured: set to 3 s,
/// a reader that pauses is reset after 3.6 s). A terminal stopped by Ctrl-S must not be.
const DEAD_RETRANSMISSIONS: u8 = 7;

const SEND: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// Sets what every TCP connection of ours has: no Nagle, a bound on what it keeps for whoever takes
/// nothing, keepalive (as the plan wants it, or else as above).
pub(crate) fn set_up_tcp(socket: impl AsFd, keepalive: Option<Keepalive>) -> Result<(), Errno> {
    set_up_sends(&socket)?;
    look_after(socket, keepalive)
}

/// Sets how what is sent on it goes out.
pub(crate) fn set_up_sends(socket: impl AsFd) -> Result<(), Errno> {
    let socket = socket.as_fd();
    sockopt::set_tcp_nodelay(socket, true)?;
    bound_unsent(socket, UNSENT_BYTES);
    Ok(())
}

/// Has the kernel look after it while it is silent.
pub(crate) fn look_after(socket: impl AsFd, keepalive: Option<Keepalive>) -> Result<(), Errno> {
    sockopt::set_socket_keepalive(&socket, true)?;
    set_keepalive(socket, keepalive)
}

/// Sets how a silent connection is probed.
pub(crate) fn set_keepalive(socket: impl AsFd, keepalive: Option<Keepalive>) -> Result<(), Errno> {
    let socket = socket.as_fd();
    let (idle, interval, probes) = keepalive
        .map_or((KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES), |own| {
            (own.idle.duration(), own.interval.duration(), own.probes)
        });
    sockopt::set_tcp_keepidle(socket, idle)?;
    sockopt::set_tcp_keepintvl(socket, interval)?;
    sockopt::set_tcp_keepcnt(socket, probes)
}

/// Makes a socket that never blocks and that no child process inherits.
pub(crate) fn stream(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None)
}

/// Has a connection that is to be opened not acknowledge the other end's part of the handshake
/// before something is sent on it, or [`acknowledge`] is called. (The kernel doesn't wait for more
/// than 200 ms.)
pub(crate) fn acknowledge_later(socket: impl AsFd) {
    // Where the kernel doesn't take it, it acknowledges at once.
    let _ = sockopt::set_tcp_quickack(socket, false);
}

/// Acknowledges what hasn't been, and what comes next without delay.
pub(crate) fn acknowledge(socket: impl AsFd) {
    // It fails only on a connection that is broken, which is told by itself.
    let _ = sockopt::set_tcp_quickack(socket, true);
}

/// Whether a connection has ended in order, and the kernel has no part in it any more.
pub(crate) fn is_over(socket: impl AsFd) -> bool {
    // Nobody is at the other end once the last that was sent is acknowledged, or it broke.
    let alone = matches!(rustix::net::getpeername(&socket), Err(Errno::NOTCONN));
    alone && matches!(sockopt::socket_error(socket), Ok(Ok(())))
}

/// Whether the kernel has forgotten what went over a socket that something went over.
pub(crate) fn has_forgotten(socket: &OwnedFd) -> bool {
    let known = std::mem::offset_of!(libc::tcp_info, tcpi_segs_in);
    read_tcp_info(socket).is_some_and(|(info, length)| length > known && info.tcpi_segs_out == 0)
}

/// Bounds what the kernel takes for a connection beyond what may be sent.
pub(crate) fn bound_unsent(socket: impl AsFd, most: u32) {
    // Where the kernel doesn't know the option, its own bound holds: some MiB.
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, most);
}

/// Has the poller tell of what has arrived only from `least` bytes on (0: from the first), or with
/// the end. The kernel makes room for so many, and tells earlier where it is short of memory; a
/// look at the socket still gets what is there. Bytes that are enough already are told of at once.
pub(crate) fn tell_from(socket: impl AsFd, least: u32) {
    // Where it doesn't take it, it tells of each as before.
    set_number(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, least);
}

/// Sets an option that is a number, where the kernel knows it.
fn set_number(socket: impl AsFd, level: libc::c_int, option: libc::c_int, value: u32) {
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    let socket = socket.as_fd();
    // SAFETY: the pointer and the length are those of `value`, which outlives the call; the
    // descriptor is open, as it is borrowed. The kernel only reads.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&value).cast(),
            std::mem::size_of_val(&value) as libc::socklen_t,
        );
    }
}

/// What [`tell_from`] has come to; 1: of the first byte.
#[cfg(test)]
pub(crate) fn told_from(socket: &OwnedFd) -> usize {
    let mut least: libc::c_int = 0;
    let mut length = std::mem::size_of_val(&least) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the address of `least`, which is that
    // long; the descriptor is open, as its owner is borrowed.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            std::ptr::from_mut(&mut least).cast(),
            &raw mut length,
        )
    };
    assert_eq!(failed, 0);
    usize::try_from(least).expect("a number of bytes")
}

/// Makes connections of `socket` come from `source`, with a port that is chosen only when the
/// other end is known (so that one source address isn't limited to one connection per port).
pub(crate) fn bind_source(socket: &OwnedFd, source: IpAddr) -> Result<(), Errno> {
    // Where the kernel doesn't know the option, the port is chosen now: fewer connections.
    set_number(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    rustix::net::bind(socket, &SocketAddr::new(source, 0))
}

/// Whether the other end has what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All that was put on the wire was acknowledged.
    Acknowledged,
    /// Some of it is still on its way.
    UnderWay,
    /// It was sent again and again for half a minute, and nobody answered.
    Unanswered,
}

/// What the kernel knows of the delivery of what was sent on `socket`.
pub(crate) fn delivery(socket: &OwnedFd) -> Delivery {
    // Unix sockets don't know the option: what they took has arrived.
    tcp_info(socket).map_or(Delivery::Acknowledged, |info| {
        delivery_of(info.tcpi_unacked, info.tcpi_retransmits)
    })
}

/// How what was sent on `socket` fares; `None` if it isn't TCP.
pub(crate) fn path_state(socket: &OwnedFd) -> Option<PathState> {
    let info = tcp_info(socket)?;
    Some(PathState {
        unacknowledged: info.tcpi_unacked,
        retransmitted: info.tcpi_total_retrans,
        timeouts: u32::from(info.tcpi_retransmits),
        round_trip: Duration::from_micros(u64::from(info.tcpi_rtt)),
        quiet: Duration::from_millis(u64::from(info.tcpi_last_ack_recv)),
    })
}

/// How many bytes the other end has acknowledged in the connection's life; `None` if it isn't TCP,
/// or the kernel is older than 4.1.
pub(crate) fn acknowledged(socket: &OwnedFd) -> Option<u64> {
    let (info, length) = read_tcp_info(socket)?;
    let known = std::mem::offset_of!(libc::tcp_info, tcpi_bytes_received) <= length;
    known.then_some(info.tcpi_bytes_acked)
}

fn tcp_info(socket: &OwnedFd) -> Option<libc::tcp_info> {
    read_tcp_info(socket).map(|(info, _)| info)
}

/// What the kernel says of a connection, and how many bytes of that it knows.
fn read_tcp_info(socket: &OwnedFd) -> Option<(libc::tcp_info, usize)> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = std::mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the address of `info`, which is that
    // long; the descriptor is open, as its owner is borrowed. All fields of `tcp_info` are plain
    // numbers, for which zero is valid, so that it is initialised whatever was written.
    unsafe {
        let failed = libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        );
        (failed == 0).then(|| (info.assume_init(), length as usize))
    }
}

/// The judgement: a window that is closed (nothing under way, though there is more to send) is
/// not a dead end.
fn delivery_of(unacknowledged: u32, retransmissions: u8) -> Delivery {
    match unacknowledged {
        0 => Delivery::Acknowledged,
        _ if retransmissions >= DEAD_RETRANSMISSIONS => Delivery::Unanswered,
        _ => Delivery::UnderWay,
    }
}

/// Receives into `buffer`. `Ok(0)` is the end; [`Errno::AGAIN`]: nothing there.
#[inline]
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(_, count)| count)
}

/// Looks whether anything arrived, without taking it.
pub(crate) fn peek(socket: impl AsFd) -> Result<usize, Errno> {
    let mut one = [0];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    rustix::net::recv(socket, &mut one, flags).map(|(_, count)| count)
}

/// Sends as much of `first` and `then` as the socket takes now, in one call.
#[inline]
pub(crate) fn send(socket: impl AsFd, first: &[u8], then: &[u8]) -> Result<usize, Errno> {
    send_so(socket.as_fd(), first, then, SEND)
}

/// The same, where the end follows at once: TCP holds a last incomplete segment back for it.
#[inline]
pub(crate) fn send_last(socket: impl AsFd, first: &[u8], then: &[u8]) -> Result<usize, Errno> {
    send_so(socket.as_fd(), first, then, SEND.union(SendFlags::MORE))
}

#[inline]
fn send_so(
    socket: BorrowedFd<'_>,
    first: &[u8],
    then: &[u8],
    flags: SendFlags,
) -> Result<usize, Errno> {
    if then.is_empty() {
        rustix::net::send(socket, first, flags)
    } else if first.is_empty() {
        rustix::net::send(socket, then, flags)
    } else {
        let both = [IoSlice::new(first), IoSlice::new(then)];
        rustix::net::sendmsg(socket, &both, &mut SendAncillaryBuffer::default(), flags)
    }
}

/// Closes with a reset instead of an orderly end.
pub(crate) fn reset(socket: OwnedFd) {
    // Without the option it is closed in the ordinary way, which frees it as well.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

/// The end of `socket` named by `of`, as an IP address and port. IPv4 seen through an IPv6 socket
/// is IPv4.
pub(crate) fn local_address(socket: impl AsFd) -> Option<SocketAddr> {
    let address = rustix::net::getsockname(socket).ok()?;
    SocketAddr::try_from(address).ok().map(canonical)
}

/// `address`, as IPv4 if it is IPv4 in IPv6's clothes.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether a connection is to itself. Connecting to a free local port can succeed if the kernel
/// chooses the same port on this side (TCP's simultaneous open); then nobody listens there.
pub(crate) fn is_self_connected(socket: &OwnedFd, port: u16) -> bool {
    match local_address(socket) {
        Some(local) if local.port() == port => {
            let peer = rustix::net::getpeername(socket).ok().flatten();
            peer.and_then(|peer| SocketAddr::try_from(peer).ok()).map(canonical) == Some(local)
        }
        _ => false,
    }
}

/// The machines' word for an error.
pub(crate) fn failure(error: Errno) -> IoFailure {
    match error {
        // A Unix socket whose queue is full answers AGAIN: its owner takes no more.
        Errno::CONNREFUSED | Errno::NOENT | Errno::AGAIN => IoFailure::Refused,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
            IoFailure::Unreachable
        }
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => IoFailure::Reset,
        Errno::TIMEDOUT => IoFailure::TimedOut,
        Errno::MFILE | Errno::NFILE => IoFailure::NoDescriptor,
        Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL => IoFailure::Exhausted,
        _ => IoFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_the_listener_has() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        set_up_tcp(&listener, None).expect("options");
        let address = listener.local_addr().expect("address");
        let _client = std::net::TcpStream::connect(address).expect("connect");
        let (accepted, _) = listener.accept().expect("accept");
        assert!(sockopt::tcp_nodelay(&accepted).expect("nodelay"));
        assert!(sockopt::socket_keepalive(&accepted).expect("keepalive"));
        assert_eq!(sockopt::tcp_keepidle(&accepted).expect("idle"), KEEPALIVE_IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&accepted).expect("interval"), KEEPALIVE_INTERVAL);
        assert_eq!(sockopt::tcp_keepcnt(&accepted).expect("probes"), KEEPALIVE_PROBES);
    }

    #[test]
    fn what_was_sent_is_acknowledged_or_under_way() {
        let (one, other) = std::os::unix::net::UnixStream::pair().expect("pair");
        drop(other);
        assert_eq!(delivery(&one.into()), Delivery::Acknowledged);
        assert_eq!(delivery_of(0, 9), Delivery::Acknowledged);
        assert_eq!(delivery_of(3, DEAD_RETRANSMISSIONS - 1), Delivery::UnderWay);
        assert_eq!(delivery_of(3, DEAD_RETRANSMISSIONS), Delivery::Unanswered);
    }

    #[test]
    fn what_the_kernel_takes_for_a_reader_that_pauses_is_bounded() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        set_up_tcp(&listener, None).expect("options");
        let address = listener.local_addr().expect("address");
        let reader = std::net::TcpStream::connect(address).expect("connect");
        let (accepted, _) = listener.accept().expect("accept");
        let accepted = OwnedFd::from(accepted);
        let mut sent = 0;
        let piece = [0; 10_000];
        // What its own kernel takes comes late; a while without any more is its end.
        for _ in 0..50 {
            while let Ok(count) = send(&accepted, &piece, b"") {
                sent += count as u64;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let taken = acknowledged(&accepted).expect("TCP");
        assert!(taken > 0);
        assert!(sent - taken <= 2 * u64::from(UNSENT_BYTES), "{} of {sent} wait", sent - taken);
        drop(reader);
    }

    #[test]
    fn a_reader_that_pauses_has_acknowledged_what_it_got() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let client = std::net::TcpStream::connect(address).expect("connect");
        client.set_nonblocking(true).expect("nonblocking");
        let (_reader, _) = listener.accept().expect("accept");
        let client = OwnedFd::from(client);
        while send(&client, &[0; 10_000], b"").is_ok() {}
        let acknowledged = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            delivery(&client) == Delivery::Acknowledged
        });
        assert!(acknowledged);
    }

    #[test]
    fn a_connection_to_itself_is_noticed() {
        let socket = stream(AddressFamily::INET).expect("socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
        rustix::net::bind(&socket, &any).expect("bind");
        let local = local_address(&socket).expect("local");
        // A simultaneous open with oneself: the classic accident, here on purpose.
        let _ = rustix::net::connect(&socket, &local);
        assert!(is_self_connected(&socket, local.port()));
        assert!(!is_self_connected(&socket, local.port().wrapping_add(1)));
    }
}
