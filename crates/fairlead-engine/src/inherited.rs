//! Sockets that this process was started with: a service manager opens them and keeps them open, so
//! that clients can connect while nobody serves them yet, or while the last one has just died.
//!
//! They are held for the whole life of the engine; a listener gets a duplicate. So a reload can give
//! one back and take it again, and what the manager holds is never closed by us.
//!
//! Not here: how they were passed (Python reads that from the environment).

use std::os::fd::OwnedFd;

use fairlead_model::plan::Bind;
use rustix::net::sockopt;

use crate::listen::{address_of, Address, ListenSocket};

/// One of them.
#[derive(Debug)]
pub(crate) struct Inherited {
    name: String,
    socket: OwnedFd,
    address: Address,
    /// It takes the connections of both families.
    dual: bool,
}

impl Inherited {
    /// Takes a socket.
    ///
    /// # Errors
    ///
    /// Why it can't be listened on.
    pub(crate) fn new(name: String, socket: OwnedFd) -> Result<Self, String> {
        let address = address_of(&socket)?;
        // Asking a socket of another family is an error, and means that it isn't.
        let dual = sockopt::ipv6_v6only(&socket).is_ok_and(|only| !only);
        Ok(Inherited { name, socket, address, dual })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether this is the socket that `bind` means: by its name, or by where it listens.
    fn serves(&self, bind: &Bind) -> bool {
        match (bind, &self.address) {
            (Bind::Inherited(name), _) => *name == self.name,
            (Bind::Tcp(wanted), Address::Tcp(address)) => wanted == address,
            // One of a single family would let down half of the clients.
            (Bind::Any(port), Address::Tcp(address)) => {
                self.dual && address.ip().is_unspecified() && address.port() == *port
            }
            (Bind::Unix(wanted), Address::Unix(path)) => wanted == path,
            _ => false,
        }
    }
}

/// Opens the socket that was passed for `bind`; `None` if none was.
pub(crate) fn open(passed: &[Inherited], bind: &Bind) -> Option<Result<ListenSocket, String>> {
    let found = passed.iter().find(|socket| socket.serves(bind))?;
    let socket = found.socket.try_clone().map_err(|error| error.to_string());
    Some(socket.and_then(|socket| ListenSocket::adopt(socket, found.address.clone())))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn passed(name: &str, socket: impl Into<OwnedFd>) -> Inherited {
        Inherited::new(name.to_owned(), socket.into()).expect("a socket")
    }

    #[test]
    fn a_socket_is_found_by_its_address_or_its_name() {
        let four = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = four.local_addr().expect("address");
        let path = std::env::temp_dir().join(format!("fl-inherited-{}", std::process::id()));
        let unix = UnixListener::bind(&path).expect("bind");
        let text = path.to_string_lossy().into_owned();
        let all = [passed("web", four), passed("local", unix)];

        for bind in [Bind::Tcp(address), Bind::Inherited("web".into())] {
            let socket = open(&all, &bind).expect("found").expect("opened");
            assert_eq!(*socket.address(), Address::Tcp(address));
        }
        let socket = open(&all, &Bind::Unix(text)).expect("found").expect("opened");
        drop(socket);
        assert!(path.exists(), "the file is somebody else's");
        std::fs::remove_file(&path).expect("clean");
        assert!(open(&all, &Bind::Any(address.port())).is_none());
        assert!(open(&all, &Bind::Inherited("other".into())).is_none());
    }

    #[test]
    fn it_goes_on_listening_when_its_listener_has_gone() {
        let one = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = one.local_addr().expect("address");
        let all = [passed("web", one)];
        drop(open(&all, &Bind::Tcp(address)).expect("found").expect("opened"));
        let _client = TcpStream::connect(address).expect("it waits in the queue");
        let again = open(&all, &Bind::Tcp(address)).expect("found").expect("opened");
        assert!(again.accept().is_ok());
    }

    #[test]
    fn what_is_no_listening_socket_is_refused() {
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let refused = Inherited::new("dns".into(), datagrams.into()).expect_err("datagrams");
        assert_eq!(refused, "it is not a stream socket");
        let file = std::fs::File::open("/dev/null").expect("open");
        let refused = Inherited::new("file".into(), file.into()).expect_err("a file");
        assert_eq!(refused, "it is not a socket");
    }
}
