//! Listening sockets: opened, shared by all workers, closed.
//!
//! One socket per address, not one per worker: a port in use is noticed (`SO_REUSEPORT` would
//! share it silently), and closing one worker's queue can't lose the connections in it. Options
//! that accepted sockets inherit are set here.
//!
//! Not here: accepting (`accept`), which listener of the plan a socket belongs to (`publish`).

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fairlead_flow::driver::Peer;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{Bind, Keepalive};
use rustix::io::Errno;
use rustix::net::{sockopt, SocketAddrUnix, SocketFlags, SocketType};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::sys::congestion;
use crate::sys::socket::{canonical, local_address, set_keepalive, set_up_tcp};

/// Connections that may wait to be accepted. The kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// How long accepting must have worked again before that is told.
const RECOVERED: Duration = Duration::from_secs(1);

/// Where a socket listens, as it turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// With the port that the system chose if 0 was asked for.
    Tcp(SocketAddr),
    /// The path.
    Unix(String),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(formatter),
            Address::Unix(path) => write!(formatter, "unix:{path}"),
        }
    }
}

/// `bind` as people write it.
pub(crate) fn describe(bind: &Bind) -> String {
    match bind {
        Bind::Any(port) => format!(":{port}"),
        Bind::Tcp(address) => address.to_string(),
        Bind::Unix(path) => format!("unix:{path}"),
        Bind::Inherited(name) => format!("fd:{name}"),
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct ListenSocket {
    socket: OwnedFd,
    address: Address,
    /// Device and inode of a Unix socket's file, so that only our own is removed.
    file: Option<(u64, u64)>,
    /// The process that opened it; a forked child must not remove the file.
    process: u32,
    /// When there last were no descriptors for its connections; 0 if that is long ago or was
    /// never so. Shared by all workers, so that it is told once.
    exhausted: AtomicU64,
}

impl ListenSocket {
    /// Opens a socket for `bind`. `leaving` are sockets of ours that are about to be closed; one
    /// of them may hold the port until then (`:8080` becoming `127.0.0.1:8080`).
    ///
    /// # Errors
    ///
    /// A text for people.
    pub(crate) fn open(bind: &Bind, leaving: &[&ListenSocket]) -> Result<Self, String> {
        let opened = match bind {
            Bind::Any(port) => open_any(*port, leaving),
            Bind::Tcp(address) => open_tcp(*address, true, leaving),
            Bind::Unix(path) => return open_unix(path),
            Bind::Inherited(name) => {
                return Err(format!("no socket `{name}` was passed to this process"))
            }
        };
        let socket = opened.map_err(|error| problem(&error))?;
        let address = local_address(&socket).ok_or("the new socket has no address")?;
        Ok(ListenSocket::new(socket, Address::Tcp(address), None))
    }

    fn new(socket: OwnedFd, address: Address, file: Option<(u64, u64)>) -> Self {
        let process = std::process::id();
        ListenSocket { socket, address, file, process, exhausted: AtomicU64::new(0) }
    }

    /// Listens on a socket that somebody else has opened and keeps open. Nothing of it is removed at
    /// the end.
    ///
    /// # Errors
    ///
    /// If the kernel doesn't let it listen.
    pub(crate) fn adopt(socket: OwnedFd, address: Address) -> Result<Self, String> {
        let set_up = || {
            rustix::io::ioctl_fionbio(&socket, true)?;
            if let Address::Tcp(_) = address {
                set_up_tcp(&socket, None)?;
            }
            // Whoever opened it may have chosen a short queue, or left this to us.
            rustix::net::listen(&socket, BACKLOG)
        };
        set_up().map_err(|error| problem(&error.into()))?;
        Ok(ListenSocket::new(socket, address, None))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// How silent clients are probed, from the next one on: accepted sockets inherit it.
    pub(crate) fn set_keepalive(&self, keepalive: Option<Keepalive>) {
        if let Address::Tcp(_) = self.address {
            // The kernel has taken the same options when the socket was opened; what it doesn't
            // take (numbers beyond its own) leaves those.
            let _ = set_keepalive(&self.socket, keepalive);
        }
    }

    /// Takes one connection out of its queue.
    pub(crate) fn accept(&self) -> Result<(OwnedFd, Peer), Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (socket, address) = rustix::net::acceptfrom_with(&self.socket, flags)?;
        let address = address.and_then(|address| SocketAddr::try_from(address).ok());
        let local = match &self.address {
            Address::Unix(_) => None,
            Address::Tcp(address) if address.ip().is_unspecified() => local_address(&socket),
            Address::Tcp(address) => Some(*address),
        };
        Ok((socket, Peer { address: address.map(canonical), local }))
    }

    /// Notes that a connection could not be accepted for lack of something; true if that is news.
    pub(crate) fn note_exhausted(&self, now: Moment) -> bool {
        self.exhausted.swap(now.0.max(1), Ordering::Relaxed) == 0
    }

    /// Notes that a connection was accepted; true if that is news because it was not possible
    /// for a while. At the limit one goes and one comes all the time, so it is said only after a
    /// second without trouble.
    pub(crate) fn note_accepted(&self, now: Moment) -> bool {
        let exhausted = self.exhausted.load(Ordering::Relaxed);
        exhausted != 0
            && now.since(Moment(exhausted)) >= RECOVERED
            && self.exhausted.swap(0, Ordering::Relaxed) != 0
    }
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ListenSocket {
    fn drop(&mut self) {
        let Address::Unix(path) = &self.address else { return };
        let still_ours = fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()));
        if still_ours.is_some() && still_ours == self.file && self.process == std::process::id() {
            // If it can't be removed, the next start finds that nobody answers on it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Where a socket that somebody else has opened listens.
///
/// # Errors
///
/// If it is none that connections could come from.
pub(crate) fn address_of(socket: &OwnedFd) -> Result<Address, String> {
    let kind = sockopt::socket_type(socket).map_err(|_| "it is not a socket")?;
    if kind != SocketType::STREAM {
        return Err("it is not a stream socket".to_owned());
    }
    if let Some(address) = local_address(socket) {
        return Ok(Address::Tcp(address));
    }
    let name = rustix::net::getsockname(socket).map_err(|error| problem(&error.into()))?;
    let unix = SocketAddrUnix::try_from(name).map_err(|_| "it is of an unknown family")?;
    let path = unix.path().ok_or("it has no path")?;
    Ok(Address::Unix(path.to_string_lossy().into_owned()))
}

fn open_any(port: u16, leaving: &[&ListenSocket]) -> io::Result<OwnedFd> {
    let six = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match open_tcp(six, false, leaving) {
        Err(error) if is_family_missing(&error) => {
            open_tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), false, leaving)
        }
        opened => opened,
    }
}

fn is_family_missing(error: &io::Error) -> bool {
    let missing = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| missing.contains(&code))
}

/// An address with its port; `six_alone`: an IPv6 address doesn't take IPv4's connections, so
/// that `0.0.0.0:80` and `[::]:80` can stand beside each other.
fn open_tcp(
    address: SocketAddr,
    six_alone: bool,
    leaving: &[&ListenSocket],
) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    socket.set_cloexec(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(six_alone)?;
    }
    // Old connections in TIME_WAIT don't keep a restart from listening; another listener does.
    socket.set_reuse_address(true)?;
    set_up_tcp(&socket, None)?;
    congestion::spare_loopback(&socket, address.ip());
    match bind_and_listen(&socket, &address.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => {
            take_over(&socket, address, leaving).map_err(|_| error)?;
        }
        outcome => outcome?,
    }
    Ok(socket.into())
}

fn bind_and_listen(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds beside sockets of ours that will be closed, where the kernel would otherwise refuse:
/// both sides allow it for a moment. A stranger's socket doesn't, so it still stands in the way.
fn take_over(socket: &Socket, address: SocketAddr, leaving: &[&ListenSocket]) -> io::Result<()> {
    let on_port = |other: &&ListenSocket| matches!(other.address, Address::Tcp(old) if old.port() == address.port());
    let old: Vec<_> = leaving.iter().copied().filter(on_port).collect();
    if old.is_empty() {
        return Err(Errno::ADDRINUSE.into());
    }
    let allow = |reuse: bool| {
        for socket in old.iter().map(|old| old.as_fd()).chain([socket.as_fd()]) {
            // Without it the address stays in use, and is told to be.
            let _ = rustix::net::sockopt::set_socket_reuseport(socket, reuse);
        }
    };
    allow(true);
    let outcome = bind_and_listen(socket, &address.into());
    allow(false);
    outcome
}

fn open_unix(path: &str) -> Result<ListenSocket, String> {
    let outcome = match bind_unix(path) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => {
            remove_stale(path)?;
            bind_unix(path)
        }
        outcome => outcome,
    };
    let socket = outcome.map_err(|error| problem(&error))?;
    let file = fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()));
    Ok(ListenSocket::new(socket, Address::Unix(path.to_owned()), file))
}

fn bind_unix(path: &str) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.set_cloexec(true)?;
    bind_and_listen(&socket, &SockAddr::unix(path)?)?;
    Ok(socket.into())
}

/// Removes the file of a socket that nobody listens on any more.
fn remove_stale(path: &str) -> Result<(), String> {
    let file = fs::symlink_metadata(path).map_err(|error| problem(&error))?;
    if !file.file_type().is_socket() {
        return Err("a file that is not a socket is in the way".to_owned());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| problem(&error))
        }
        _ => Err("address already in use".to_owned()),
    }
}

/// An error of the system in our style of messages.
fn problem(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => "address already in use".to_owned(),
        Some(libc::EADDRNOTAVAIL) => {
            "cannot assign requested address (this host has no such address)".to_owned()
        }
        Some(libc::EACCES) => "permission denied".to_owned(),
        Some(libc::ENOENT) => "no such directory".to_owned(),
        Some(libc::EMFILE | libc::ENFILE) => "out of file descriptors".to_owned(),
        _ => error.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn open(bind: &str) -> Result<ListenSocket, String> {
        ListenSocket::open(&Bind::Tcp(bind.parse().expect("address")), &[])
    }

    fn port(socket: &ListenSocket) -> u16 {
        match socket.address() {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => 0,
        }
    }

    fn accept(socket: &ListenSocket) -> Peer {
        for _ in 0..500 {
            match socket.accept() {
                Ok((_, peer)) => return peer,
                Err(error) => assert_eq!(error, Errno::AGAIN),
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("nobody came")
    }

    #[test]
    fn a_port_in_use_is_noticed() {
        let other = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = other.local_addr().expect("address");
        let problem = open(&address.to_string()).expect_err("in use");
        assert_eq!(problem, "address already in use");
        let ours = open("127.0.0.1:0").expect("open");
        let again = ListenSocket::open(&Bind::Tcp(([127, 0, 0, 1], port(&ours)).into()), &[]);
        assert_eq!(again.expect_err("in use"), "address already in use");
    }

    #[test]
    fn a_port_can_be_taken_over_from_a_socket_that_leaves() {
        let wide = ListenSocket::open(&Bind::Any(0), &[]).expect("open");
        let narrow = Bind::Tcp(([127, 0, 0, 1], port(&wide)).into());
        assert!(ListenSocket::open(&narrow, &[]).is_err());
        let narrow = ListenSocket::open(&narrow, &[&wide]).expect("take over");
        // It is protected like any other afterwards.
        let again = Bind::Tcp(([127, 0, 0, 1], port(&narrow)).into());
        assert!(ListenSocket::open(&again, &[]).is_err());
        drop(wide);
        assert!(ListenSocket::open(&again, &[]).is_err());
        let _client = TcpStream::connect(("127.0.0.1", port(&narrow))).expect("connect");
        accept(&narrow);
    }

    #[test]
    fn any_takes_both_families_and_shows_ipv4_as_such() {
        let socket = ListenSocket::open(&Bind::Any(0), &[]).expect("open");
        for host in ["127.0.0.1", "::1"] {
            let Ok(client) = TcpStream::connect((host, port(&socket))) else {
                assert_eq!(host, "::1", "a host without IPv6 has IPv4");
                continue;
            };
            let peer = accept(&socket);
            assert_eq!(peer.address, client.local_addr().ok());
            assert_eq!(peer.local, client.peer_addr().ok());
        }
    }

    #[test]
    fn unix_sockets_replace_stale_ones_only_and_clean_up() {
        let folder = std::env::temp_dir().join(format!("fairlead-listen-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("listen.sock").to_string_lossy().into_owned();
        let bind = Bind::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale one"));
        let socket = ListenSocket::open(&bind, &[]).expect("open");
        assert_eq!(socket.address().to_string(), format!("unix:{path}"));
        let problem = ListenSocket::open(&bind, &[]).expect_err("in use");
        assert_eq!(problem, "address already in use");
        let _client = UnixStream::connect(&path).expect("connect");
        assert_eq!(accept(&socket), Peer::default());
        drop(socket);
        assert!(!std::path::Path::new(&path).exists());

        fs::write(&path, "precious").expect("write");
        assert!(ListenSocket::open(&bind, &[]).is_err());
        assert_eq!(fs::read(&path).expect("read"), b"precious");
        fs::remove_dir_all(&folder).expect("clean");
    }

    #[test]
    fn addresses_of_others_are_refused_with_a_reason() {
        let problem = open("192.0.2.1:0").expect_err("not ours");
        assert_eq!(problem, "cannot assign requested address (this host has no such address)");
        let missing = Bind::Unix("/nonexistent/folder/x.sock".to_owned());
        let problem = ListenSocket::open(&missing, &[]).expect_err("no folder");
        assert_eq!(problem, "no such directory");
    }
}
