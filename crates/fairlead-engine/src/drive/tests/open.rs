//! How connections to backends begin.

use std::os::fd::AsRawFd;

use super::*;

fn leaving_from(source: std::net::IpAddr) -> Outgoing {
    Outgoing { source: Some(source), ..Outgoing::default() }
}

#[test]
fn connects_are_told_with_their_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let mut rig = Rig::new();
    let good = rig.sockets.connect(&Endpoint::Tcp(address), Outgoing::default()).expect("connect");
    rig.until(|rig| rig.told(good) == [Told::Connected]);
    let (mut backend, from) = listener.accept().expect("accept");
    assert_eq!(rig.sockets.send(good, b"hi", b""), Sent::All);
    rig.sockets.submit();
    let mut two = [0; 2];
    backend.read_exact(&mut two).expect("read");
    assert_eq!((&two, from.ip()), (b"hi", address.ip()));

    let source = "127.0.0.2".parse().expect("source");
    let other =
        rig.sockets.connect(&Endpoint::Tcp(address), leaving_from(source)).expect("connect");
    rig.until(|rig| rig.told(other) == [Told::Connected]);
    assert_eq!(listener.accept().expect("accept").1.ip(), source);

    drop(listener);
    let bad = rig.sockets.connect(&Endpoint::Tcp(address), Outgoing::default()).expect("connect");
    rig.until(|rig| rig.told(bad) == [Told::ConnectFailed(IoFailure::Refused)]);
}

#[test]
fn a_source_that_is_not_ours_is_not_the_backends_fault() {
    let mut rig = Rig::new();
    let to = Endpoint::Tcp("127.0.0.1:9".parse().expect("address"));
    let source = "192.0.2.77".parse().expect("source");
    assert_eq!(rig.sockets.connect(&to, leaving_from(source)), Err(IoFailure::Exhausted));
}

#[test]
fn unix_sockets_connect_at_once_and_tell_it_later() {
    let folder = std::env::temp_dir().join(format!("fairlead-drive-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let path = folder.join("backend.sock");
    let to = Endpoint::Unix(path.to_string_lossy().into_owned());
    let mut rig = Rig::new();
    assert_eq!(rig.sockets.connect(&to, Outgoing::default()), Err(IoFailure::Refused));
    let listener = UnixListener::bind(&path).expect("bind");
    let id = rig.sockets.connect(&to, Outgoing::default()).expect("connect");
    assert_eq!(rig.heard, []);
    rig.until(|rig| rig.told(id) == [Told::Connected]);
    drop(listener);
    assert_eq!(rig.sockets.connect(&to, Outgoing::default()), Err(IoFailure::Refused));
    std::fs::remove_dir_all(&folder).expect("clean");
}

/// A connection to a listener, in the turn in which it was told that it is there.
fn just_connected() -> (Rig, TcpListener, ConnId) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.set_nonblocking(true).expect("nonblocking");
    let to = Endpoint::Tcp(listener.local_addr().expect("address"));
    let mut rig = Rig::new();
    let id = rig.sockets.connect(&to, Outgoing::default()).expect("connect");
    rig.until(|rig| rig.told(id) == [Told::Connected]);
    (rig, listener, id)
}

fn nobody_came(listener: &TcpListener) -> bool {
    listener.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Whether the kernel acknowledges at once what comes.
fn acknowledges_at_once(rig: &Rig, id: ConnId) -> bool {
    sockopt::tcp_quickack(&rig.sockets.slots.get(id).expect("it").socket).expect("TCP")
}

#[test]
fn the_first_bytes_come_with_the_connection() {
    let (mut rig, listener, id) = just_connected();
    assert!(nobody_came(&listener));
    assert_eq!(rig.sockets.send(id, b"hello", b""), Sent::All);
    rig.sockets.submit();
    // Both are there at once.
    let (backend, _) = listener.accept().expect("a connection");
    backend.set_nonblocking(true).expect("nonblocking");
    let mut five = [0; 5];
    (&backend).read_exact(&mut five).expect("its first bytes");
    assert_eq!(&five, b"hello");
    rig.sockets.end_turn();
    assert!(acknowledges_at_once(&rig, id), "a backend may wait for it between two pieces");
}

#[test]
fn who_sends_twice_in_the_turn_acknowledges_at_once_too() {
    let (mut rig, _listener, id) = just_connected();
    for piece in [b"a", b"b"] {
        assert_eq!(rig.sockets.send(id, piece, b""), Sent::All);
    }
    rig.sockets.end_turn();
    assert!(acknowledges_at_once(&rig, id));
}

#[test]
fn who_sends_nothing_is_there_at_the_end_of_the_turn() {
    let (mut rig, listener, id) = just_connected();
    assert!(nobody_came(&listener));
    rig.sockets.end_turn();
    let (mut backend, _) = listener.accept().expect("a connection");
    assert!(acknowledges_at_once(&rig, id));
    backend.write_all(b"220 hello").expect("write");
    rig.until(|rig| rig.bytes(id) == b"220 hello");
}

#[test]
fn who_is_closed_in_the_turn_was_there() {
    let (mut rig, listener, id) = just_connected();
    rig.sockets.close(id);
    rig.sockets.end_turn();
    let (backend, _) = listener.accept().expect("a connection");
    assert_eq!((&backend).read(&mut [0]).expect("an orderly end"), 0);
}

#[test]
fn small_pieces_do_not_wait_for_each_other() {
    let (mut rig, listener, id) = just_connected();
    let nagle = |rig: &Rig| {
        !sockopt::tcp_nodelay(&rig.sockets.slots.get(id).expect("it").socket).expect("TCP")
    };
    for (piece, held_back) in [(b"a", true), (b"b", false), (b"c", false)] {
        assert_eq!(rig.sockets.send(id, piece, b""), Sent::All);
        rig.sockets.end_turn();
        assert_eq!(nagle(&rig), held_back, "one piece needs no call for it");
    }
    let (backend, _) = listener.accept().expect("a connection");
    backend.set_nonblocking(true).expect("nonblocking");
    let mut three = [0; 3];
    (&backend).read_exact(&mut three).expect("all of them at once");
    assert_eq!(&three, b"abc");
}

#[test]
fn what_was_sent_while_connecting_waits_for_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let to = Endpoint::Tcp(listener.local_addr().expect("address"));
    let mut rig = Rig::new();
    let id = rig.sockets.connect(&to, Outgoing::default()).expect("connect");
    assert_eq!(rig.sockets.send(id, b"early", b""), Sent::Queued);
    rig.until(|rig| rig.told(id).contains(&Told::Writable));
    let (mut backend, _) = listener.accept().expect("a connection");
    let mut five = [0; 5];
    backend.read_exact(&mut five).expect("read");
    assert_eq!(&five, b"early");
}

#[test]
fn a_connection_to_itself_is_refused() {
    // Who has a port may connect to it: the kernel chooses it for this side now and then.
    let socket = socket::stream(rustix::net::AddressFamily::INET).expect("socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("address");
    rustix::net::bind(&socket, &any).expect("bind");
    let own = socket::local_address(&socket).expect("local");
    let _ = rustix::net::connect(&socket, &own);
    let mut rig = Rig::new();
    let connection = Connection::new(socket, Phase::Connecting(own.port()));
    let id = rig.sockets.register(connection, false).expect("register");
    rig.until(|rig| rig.told(id) == [Told::ConnectFailed(IoFailure::Refused)]);
}

#[test]
fn only_ports_that_the_kernel_chooses_are_looked_at_for_that() {
    let chosen = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = chosen.local_addr().expect("address").port();
    let mut opener = crate::connect::Opener::new(10_000, 1);
    // Nobody chooses the first, and nobody has to be there.
    for (to, noted) in [(port, port), (1, 0)] {
        let to = Endpoint::Tcp(([127, 0, 0, 1], to).into());
        match opener.start(&to, Outgoing::default(), Moment::ZERO) {
            Ok(opened) => assert_eq!(opened.connection.phase, Phase::Connecting(noted)),
            Err(error) => assert_eq!((error, noted), (rustix::io::Errno::CONNREFUSED, 0)),
        }
    }
}

/// An orderly life: something there and back, our end, theirs. The descriptor that it had.
fn live_once(rig: &mut Rig, listener: &TcpListener) -> (ConnId, i32) {
    let to = Endpoint::Tcp(listener.local_addr().expect("address"));
    let id = rig.sockets.connect(&to, Outgoing::default()).expect("connect");
    rig.until(|rig| rig.told(id) == [Told::Connected]);
    assert_eq!(rig.sockets.send(id, b"question", b""), Sent::All);
    rig.sockets.end_turn();
    let (mut backend, _) = listener.accept().expect("accept");
    let mut question = [0; 8];
    backend.read_exact(&mut question).expect("read");
    assert_eq!(&question, b"question");
    backend.write_all(b"answer").expect("write");
    rig.until(|rig| rig.bytes(id) == b"answer");
    let number = rig.sockets.slots.get(id).expect("it").socket.as_raw_fd();
    rig.sockets.finish(id);
    assert_eq!(backend.read(&mut [0]).expect("an orderly end"), 0);
    drop(backend);
    rig.until(|rig| rig.told(id).contains(&Told::Eof));
    rig.sockets.close(id);
    (id, number)
}

#[test]
fn the_socket_of_a_connection_that_is_over_is_the_next_ones() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut rig = Rig::new();
    let (_, number) = live_once(&mut rig, &listener);
    for _ in 0..3 {
        let before = rig.heard.len();
        assert_eq!(rig.sockets.opener.spares.len(), 1);
        let (id, again) = live_once(&mut rig, &listener);
        assert_eq!(again, number);
        let told: Vec<_> = rig.heard[before..].iter().filter(|(of, _)| *of != id).collect();
        assert!(told.is_empty(), "nobody hears of the one before: {told:?}");
    }
}

#[test]
fn nothing_of_the_one_before_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut rig = Rig::new();
    live_once(&mut rig, &listener);
    let to = Endpoint::Tcp(listener.local_addr().expect("address"));
    let id = rig.sockets.connect(&to, Outgoing::default()).expect("connect");
    assert_eq!(rig.sockets.opener.spares.len(), 0, "it has that one's socket");
    rig.until(|rig| rig.told(id) == [Told::Connected]);
    assert_eq!(rig.sockets.send(id, b"abc", b""), Sent::All);
    let _backend = listener.accept().expect("accept");
    let start = Instant::now();
    // The handshake counts for one.
    while rig.sockets.taken(id) != Some(4) {
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", rig.sockets.taken(id));
    }
    let path = rig.sockets.ask_path(id).expect("TCP");
    assert_eq!((path.unacknowledged, path.retransmitted, path.timeouts), (0, 0, 0));
}

#[test]
fn sockets_that_have_seen_more_are_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let to = Endpoint::Tcp(listener.local_addr().expect("address"));
    let from_here =
        |how: Outgoing| Outgoing { source: Some("127.0.0.2".parse().expect("source")), ..how };
    for case in ["from somewhere", "forwarded", "lasting", "reset", "aborted", "unfinished"] {
        let mut rig = Rig::new();
        let plain = Outgoing::default();
        let how = if case == "from somewhere" { from_here(plain) } else { plain };
        let id = rig.sockets.connect(&to, how).expect("connect");
        rig.until(|rig| rig.told(id) == [Told::Connected]);
        rig.sockets.end_turn();
        let (backend, _) = listener.accept().expect("accept");
        if case == "forwarded" {
            rig.sockets.forward(id, id, 1);
        }
        if case == "lasting" {
            rig.sockets.set_now(Moment::ZERO + ROUND);
            rig.sockets.run_timers();
        }
        if case != "unfinished" {
            rig.sockets.finish(id);
        }
        if case == "reset" {
            reset(backend);
            rig.until(|rig| !rig.told(id)[1..].is_empty());
        } else {
            drop(backend);
            rig.until(|rig| rig.told(id).contains(&Told::Eof));
        }
        if case == "aborted" {
            rig.sockets.abort(id);
        } else {
            rig.sockets.close(id);
        }
        assert_eq!(rig.sockets.opener.spares.len(), 0, "{case}");
    }
}

#[test]
fn sockets_that_nobody_needs_are_given_back_while_nothing_else_happens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut rig = Rig::new();
    live_once(&mut rig, &listener);
    let mut looks = 0;
    while let Some(at) = rig.sockets.deadline() {
        rig.sockets.set_now(at);
        rig.sockets.run_timers();
        looks += 1;
    }
    assert_eq!((looks, rig.sockets.opener.spares.len()), (2, 0));
}
