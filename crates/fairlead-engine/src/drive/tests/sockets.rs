//! Sockets against real ones on the loopback device and in the file system.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use fairlead_model::limits::RECEIVE_BYTES;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::net::sockopt;

use super::*;
use crate::sys::poll::{Events, Source};
use crate::sys::ring::Ring;

mod batch;
mod close;
mod forward;
mod open;

/// What was told, with the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Bytes(Vec<u8>),
    Other(Told),
}

/// What all calls go through, in the one of the two modules that these tests are in.
#[expect(clippy::print_stderr, reason = "a test that can't run says what it misses")]
fn ring() -> Option<(Ring, usize)> {
    if !module_path!().ends_with("tests_on_ring") {
        return None;
    }
    match Ring::new() {
        Ok(ring) => Some((ring, 0)),
        Err(why) => {
            eprintln!("left out, each call is made by itself instead: {why}");
            None
        }
    }
}

/// A worker's loop without a flow: everything told is written down.
struct Rig {
    sockets: Sockets,
    events: Events,
    buffer: Buffer,
    heard: Vec<(ConnId, Heard)>,
    start: Instant,
}

impl Rig {
    fn new() -> Self {
        Rig {
            sockets: Sockets::new(Poller::new().expect("epoll"), 1).batching(ring()),
            events: Events::new(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            heard: Vec::new(),
            start: Instant::now(),
        }
    }

    /// Begins a turn.
    fn wait(&mut self, wait: Duration) {
        self.sockets.end_turn();
        let wait = if self.sockets.ready() > 0 { Duration::ZERO } else { wait };
        let now = Moment::ZERO + self.start.elapsed();
        self.sockets.poller.wait(&mut self.events, Some(wait), now);
        for index in 0..self.events.len() {
            let (Source::Connection(id), signs) = self.events.at(index) else {
                assert_eq!(self.events.at(index).0, Source::Alarm);
                continue;
            };
            self.sockets.note(id, signs);
        }
        self.sockets.begin_turn(self.events.len());
    }

    fn turn(&mut self, wait: Duration) {
        self.wait(wait);
        for index in 0..self.events.len() {
            self.sockets.look_ahead(&self.events, index);
            if let (Source::Connection(id), _) = self.events.at(index) {
                self.serve(id);
            }
        }
        self.sockets.put_aside();
        for _ in 0..self.sockets.ready() {
            if let Some(id) = self.sockets.pop_ready() {
                self.serve(id);
            }
        }
    }

    fn serve(&mut self, id: ConnId) {
        for _ in 0..READS_PER_TURN {
            let Some(told) = self.sockets.next(id, &mut self.buffer) else { return };
            let heard = match told {
                Told::Data(count) => Heard::Bytes(self.buffer[..count].to_vec()),
                other => Heard::Other(other),
            };
            self.heard.push((id, heard));
        }
        self.sockets.yield_turn(id);
    }

    /// Turns until `done` or five seconds have passed.
    fn until(&mut self, done: impl Fn(&Rig) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < Duration::from_secs(5), "heard only {:?}", self.summary());
            self.turn(Duration::from_millis(10));
        }
    }

    /// Makes all buffers smaller.
    fn read_at_most(&mut self, bytes: usize) {
        self.buffer = vec![0; bytes].into_boxed_slice();
        if let Some(batch) = &mut self.sockets.batch {
            batch.read_at_most(bytes);
        }
    }

    /// A few turns in which nothing is to happen.
    fn settle(&mut self) {
        for _ in 0..3 {
            self.turn(Duration::from_millis(10));
        }
    }

    fn summary(&self) -> Vec<String> {
        let text = |(id, heard): &(ConnId, Heard)| match heard {
            Heard::Bytes(bytes) => format!("{}: {} bytes", id.index, bytes.len()),
            Heard::Other(told) => format!("{}: {told:?}", id.index),
        };
        self.heard.iter().map(text).collect()
    }

    fn bytes(&self, id: ConnId) -> Vec<u8> {
        let of = |(from, heard): &(ConnId, Heard)| match heard {
            Heard::Bytes(bytes) if *from == id => bytes.clone(),
            _ => Vec::new(),
        };
        self.heard.iter().flat_map(of).collect()
    }

    /// What was told about `id` apart from bytes.
    fn told(&self, id: ConnId) -> Vec<Told> {
        let of = |(from, heard): &(ConnId, Heard)| match heard {
            Heard::Other(told) if *from == id => Some(*told),
            _ => None,
        };
        self.heard.iter().filter_map(of).collect()
    }

    fn adopt(&mut self, socket: impl Into<OwnedFd>) -> ConnId {
        let socket = socket.into();
        rustix::io::ioctl_fionbio(&socket, true).expect("nonblocking");
        self.sockets.adopt(socket).expect("adopt")
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let one = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (other, _) = listener.accept().expect("accept");
    (one, other)
}

/// One connection, and its other end.
fn one() -> (Rig, TcpStream, ConnId) {
    let (theirs, ours) = tcp_pair();
    let mut rig = Rig::new();
    let id = rig.adopt(ours);
    (rig, theirs, id)
}

fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).expect("read");
    all
}

/// Until this has come for the socket; nothing is a reset. The kernel may leave that to a thread of
/// its own, which waits for a processor like all others.
fn wait_come(socket: &impl AsFd, what: PollFlags) {
    let mut one = [PollFd::new(socket, what)];
    let five = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(poll(&mut one, Some(&five)), Ok(1), "nothing has come");
}

fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("linger");
    drop(stream);
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

#[test]
fn bytes_and_end_are_told_in_order() {
    let (mut rig, mut client, id) = one();
    client.write_all(b"hello").expect("write");
    rig.until(|rig| rig.bytes(id) == b"hello");
    client.write_all(b" world").expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    assert_eq!(rig.bytes(id), b"hello world");
    // The other direction stays open.
    assert_eq!(rig.sockets.send(id, b"an", b"swer"), Sent::All);
    rig.sockets.close(id);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("read");
    assert_eq!(answer, "answer");
}

#[test]
fn a_full_buffer_is_read_to_its_end_though_the_other_end_has_finished() {
    let (mut client, ours) = tcp_pair();
    let mut rig = Rig::new();
    let sent = pattern(300_000);
    let copy = sent.clone();
    let writer = std::thread::spawn(move || {
        client.write_all(&copy).expect("write");
        client.shutdown(Shutdown::Write).expect("shutdown");
        client
    });
    std::thread::sleep(Duration::from_millis(20));
    let id = rig.adopt(ours);
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    assert!(rig.bytes(id) == sent);
    drop(writer.join());
}

#[test]
fn what_the_socket_does_not_take_follows_in_order() {
    let (mut rig, mut client, id) = one();
    let sent = pattern(12_000_000);
    let (head, tail) = sent.split_at(8_000_000);
    assert_eq!(rig.sockets.send(id, head, b""), Sent::Queued);
    assert_eq!(rig.sockets.send(id, &tail[..1], &tail[1..]), Sent::Queued);
    assert!(rig.sockets.queued(id) > 1_000_000);
    rig.sockets.finish(id);
    rig.settle();
    assert_eq!(rig.told(id), []);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("read");
        all
    });
    rig.until(|rig| rig.told(id) == [Told::Writable]);
    assert_eq!(rig.sockets.queued(id), 0);
    rig.until(|_| reader.is_finished());
    assert!(reader.join().expect("reader") == sent);
}

#[test]
fn a_paused_connection_is_silent_and_tells_everything_later() {
    let (mut rig, mut client, id) = one();
    rig.sockets.pause(id);
    client.write_all(b"early").expect("write");
    rig.settle();
    client.write_all(b" late").expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    rig.settle();
    assert_eq!(rig.heard, []);
    rig.sockets.resume(id);
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    assert_eq!(rig.bytes(id), b"early late");
}

#[test]
fn pausing_in_the_middle_loses_nothing() {
    let (mut rig, mut client, id) = one();
    client.write_all(&pattern(200_000)).expect("write");
    rig.until(|rig| !rig.bytes(id).is_empty());
    rig.sockets.pause(id);
    let before = rig.bytes(id).len();
    rig.settle();
    assert_eq!(rig.bytes(id).len(), before);
    rig.sockets.resume(id);
    rig.until(|rig| rig.bytes(id).len() == 200_000);
    assert!(rig.bytes(id) == pattern(200_000));
}

#[test]
fn a_reset_is_told_after_what_arrived_before() {
    let (mut client, ours) = tcp_pair();
    let mut rig = Rig::new();
    client.write_all(b"last words").expect("write");
    reset(client);
    let id = rig.adopt(ours);
    rig.until(|rig| rig.told(id) == [Told::Failed(IoFailure::Reset)]);
    assert_eq!(rig.bytes(id), b"last words");
    // The id is dead.
    assert_eq!(rig.sockets.send(id, b"x", b""), Sent::All);
    assert_eq!(rig.sockets.queued(id), 0);
}

#[test]
fn a_reset_while_paused_is_a_hangup_once() {
    let (mut rig, mut client, id) = one();
    rig.sockets.pause(id);
    client.write_all(b"last words").expect("write");
    reset(client);
    rig.until(|rig| rig.told(id) == [Told::Hangup]);
    rig.settle();
    rig.sockets.resume(id);
    rig.until(|rig| rig.told(id) == [Told::Hangup, Told::Failed(IoFailure::Reset)]);
    assert_eq!(rig.bytes(id), b"last words");
}

#[test]
fn an_orderly_end_after_ours_is_no_hangup() {
    let (mut rig, mut client, id) = one();
    rig.sockets.finish(id);
    rig.sockets.pause(id);
    client.write_all(b"rest").expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    rig.settle();
    assert_eq!(rig.heard, []);
    rig.sockets.resume(id);
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    assert_eq!(rig.bytes(id), b"rest");
}

#[test]
fn a_failed_send_is_told_later_and_after_what_arrived() {
    let (mut client, ours) = tcp_pair();
    let mut rig = Rig::new();
    client.write_all(b"bye").expect("write");
    reset(client);
    wait_come(&ours, PollFlags::empty());
    let id = rig.adopt(ours);
    assert_eq!(rig.sockets.send(id, b"to nobody", b""), Sent::All);
    assert_eq!(rig.heard, []);
    rig.until(|rig| rig.told(id).len() == 1);
    assert_eq!(rig.bytes(id), b"bye");
    assert_eq!(rig.told(id), [Told::Failed(IoFailure::Reset)]);
}

#[test]
fn a_reset_after_the_end_is_told_too() {
    let (mut rig, client, id) = one();
    client.shutdown(Shutdown::Write).expect("shutdown");
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    reset(client);
    rig.until(|rig| rig.told(id).len() == 2);
    assert_eq!(rig.told(id)[1], Told::Failed(IoFailure::Reset));
}

#[test]
fn a_unix_socket_that_is_closed_gives_its_last_bytes() {
    let (mut client, ours) = UnixStream::pair().expect("pair");
    let mut rig = Rig::new();
    let id = rig.adopt(ours);
    rig.sockets.pause(id);
    client.write_all(b"all of it").expect("write");
    drop(client);
    rig.settle();
    assert_eq!(rig.heard, []);
    rig.sockets.resume(id);
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    assert_eq!(rig.bytes(id), b"all of it");
}

#[test]
fn a_reader_that_pauses_is_not_taken_for_dead() {
    let (mut rig, _client, id) = one();
    assert_eq!(rig.sockets.send(id, &pattern(8_000_000), b""), Sent::Queued);
    for round in 1..=3 {
        rig.sockets.set_now(Moment::ZERO + ROUND * round);
        rig.sockets.run_timers();
        rig.settle();
    }
    assert_eq!(rig.heard, []);
    assert!(rig.sockets.queued(id) > 0);
}

#[test]
fn an_old_id_is_not_the_next_connection() {
    let mut rig = Rig::new();
    let (_client, ours) = tcp_pair();
    let old = rig.adopt(ours);
    rig.sockets.close(old);
    let (mut client, ours) = tcp_pair();
    let new = rig.adopt(ours);
    assert_eq!(old.index, new.index);
    assert_eq!(rig.sockets.send(old, b"wrong", b""), Sent::All);
    rig.sockets.abort(old);
    rig.sockets.close(old);
    assert_eq!(rig.sockets.send(new, b"right", b""), Sent::All);
    rig.sockets.submit();
    let mut five = [0; 5];
    client.read_exact(&mut five).expect("read");
    assert_eq!(&five, b"right");
}

#[test]
fn quiet_is_what_the_socket_itself_says() {
    let (mut client, ours) = tcp_pair();
    let copy = ours.try_clone().expect("clone");
    let mut rig = Rig::new();
    let id = rig.adopt(ours);
    assert!(rig.sockets.is_quiet(id));
    client.write_all(b"x").expect("write");
    wait_come(&copy, PollFlags::IN);
    assert!(!rig.sockets.is_quiet(id));

    let (client, ours) = tcp_pair();
    drop(client);
    wait_come(&ours, PollFlags::IN);
    let id = rig.adopt(ours);
    assert!(!rig.sockets.is_quiet(id));
}

#[test]
fn one_loud_connection_leaves_others_their_turn() {
    let mut rig = Rig::new();
    let (mut loud, ours) = UnixStream::pair().expect("pair");
    let loud_id = rig.adopt(ours);
    let (mut low, ours) = tcp_pair();
    rig.read_at_most(1000);
    loud.write_all(&pattern(100_000)).expect("write");
    low.write_all(b"me too").expect("write");
    wait_come(&ours, PollFlags::IN);
    let low_id = rig.adopt(ours);
    rig.turn(Duration::ZERO);
    assert_eq!(rig.bytes(low_id), b"me too");
    assert!(rig.bytes(loud_id).len() <= 2 * READS_PER_TURN * 1000);
    rig.until(|rig| rig.bytes(loud_id).len() == 100_000);
}

#[test]
fn a_connection_is_small() {
    // DESIGN §2.13: at most 1 KiB of user memory per idle client; the driver's share is this.
    assert!(std::mem::size_of::<Connection>() <= 40);
}
