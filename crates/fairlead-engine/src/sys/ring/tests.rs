//! The ring against the kernel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::*;

/// A ring, or a word why there is none here.
#[expect(clippy::print_stderr, reason = "a test that can't run says what it misses")]
fn ring() -> Option<Ring> {
    Ring::new().map_err(|why| eprintln!("left out: {why}")).ok()
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let one = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    (one, listener.accept().expect("accept").0)
}

#[test]
fn each_socket_gets_its_own_and_outcomes_stand_in_order() {
    let Some(mut ring) = ring() else { return };
    let pairs: Vec<_> = (0..BATCH).map(|_| tcp_pair()).collect();
    let texts: Vec<_> = (0..BATCH).map(|number| vec![b'x'; number + 1]).collect();
    let sends = pairs.iter().zip(&texts).map(|((one, _), text)| (one.as_fd(), &text[..]));
    let taken: Vec<_> = ring.send(sends).iter().map(|outcome| outcome.expect("room")).collect();
    assert_eq!(taken, (1..=BATCH).collect::<Vec<_>>());
    let mut rooms = vec![[0; 2 * BATCH]; BATCH];
    let receives =
        pairs.iter().zip(&mut rooms).map(|((_, other), room)| (other.as_fd(), &mut room[..]));
    let came: Vec<_> = ring.receive(receives).to_vec();
    for (number, outcome) in came.into_iter().enumerate() {
        let count = outcome.expect("loopback delivers at once");
        assert_eq!(rooms[number][..count], texts[number]);
    }
}

#[test]
fn more_than_a_batch_is_left_alone() {
    let Some(mut ring) = ring() else { return };
    let (one, mut other) = UnixStream::pair().expect("pair");
    let sends = (0..=BATCH).map(|_| (one.as_fd(), &b"x"[..]));
    assert_eq!(ring.send(sends), [Ok(1); BATCH]);
    drop(one);
    let mut all = Vec::new();
    assert_eq!(other.read_to_end(&mut all).expect("read"), BATCH);
}

#[test]
fn nothing_waits_on_a_socket_that_blocks() {
    let Some(mut ring) = ring() else { return };
    let (one, mut other) = tcp_pair();
    let mut room = [0; 4];
    assert_eq!(ring.receive([(one.as_fd(), &mut room[..])].into_iter()), [Err(Errno::AGAIN)]);
    other.write_all(b"late").expect("write");
    drop(other);
    assert_eq!(room, [0; 4], "nothing is received after the call");
    assert_eq!(ring.receive([(one.as_fd(), &mut room[..])].into_iter()), [Ok(4)]);
    assert_eq!(ring.receive([(one.as_fd(), &mut room[..])].into_iter()), [Ok(0)]);
}

#[test]
fn of_an_empty_batch_nothing_comes() {
    let Some(mut ring) = ring() else { return };
    assert!(ring.send(std::iter::empty()).is_empty());
}

#[test]
fn a_panic_of_the_lender_leaves_nothing_behind() {
    let Some(mut ring) = ring() else { return };
    let (one, mut other) = UnixStream::pair().expect("pair");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let both = [b"first", b"never"].into_iter().map(|text| {
            assert!(text != b"never", "the lender's");
            (one.as_fd(), &text[..])
        });
        ring.send(both);
    }));
    assert!(panicked.is_err());
    assert_eq!(ring.send([(one.as_fd(), &b"second"[..])].into_iter()), [Ok(6)]);
    drop(one);
    let mut all = String::new();
    other.read_to_string(&mut all).expect("read");
    assert_eq!(all, "second");
}
