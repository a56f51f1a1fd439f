//! What goes from one socket to another without being told.

use fairlead_model::limits::{
    FASTEST_BYTES, FASTEST_MS, FORWARD_BYTES, FORWARD_LEAST, FORWARD_SMALL,
};

use super::*;
use crate::connection::Width;

/// Two pairs, joined: what the client writes is forwarded to the backend.
fn joined(rig: &mut Rig, most: u64) -> (TcpStream, ConnId, ConnId, TcpStream) {
    let (client, ours) = tcp_pair();
    let (backend, theirs) = tcp_pair();
    let (from, to) = (rig.adopt(ours), rig.adopt(theirs));
    rig.sockets.forward(from, to, most);
    (client, from, to, backend)
}

impl Rig {
    /// How many bytes were told as forwarded.
    fn forwarded(&self, id: ConnId) -> usize {
        let of = |told: &Told| match told {
            Told::Forwarded(count, _) => *count,
            _ => 0,
        };
        self.told(id).iter().map(of).sum()
    }

    /// Does what a relay does: sends on what is told because it was too small to be forwarded, and
    /// then forwards again.
    fn relay(&mut self, from: ConnId, to: ConnId) {
        self.pace(from, to);
        let told = self.bytes(from);
        self.heard.retain(|(_, heard)| !matches!(heard, Heard::Bytes(_)));
        if !told.is_empty() {
            let _ = self.sockets.send(to, &told, b"");
            self.sockets.forward(from, to, u64::MAX);
        }
    }

    /// Stops reading while the other side keeps something, as a relay does, and goes on.
    fn pace(&mut self, from: ConnId, to: ConnId) {
        let queued = matches!(self.told(from).last(), Some(Told::Forwarded(_, Sent::Queued)));
        if queued && self.sockets.queued(to) > 0 {
            self.sockets.pause(from);
        } else {
            self.sockets.resume(from);
        }
    }
}

fn reading(from: TcpStream) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || read_all(from))
}

#[test]
fn forwarded_bytes_arrive_whole_and_in_order_before_the_end() {
    let mut rig = Rig::new();
    let (mut client, from, to, backend) = joined(&mut rig, u64::MAX);
    let sent = pattern(9_000_000);
    let copy = sent.clone();
    let writer = std::thread::spawn(move || {
        client.write_all(&copy).expect("write");
        client.shutdown(Shutdown::Write).expect("shutdown");
        client
    });
    let reader = reading(backend);
    let start = Instant::now();
    while !rig.told(from).contains(&Told::Eof) {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", rig.summary());
        rig.turn(Duration::from_millis(10));
        rig.relay(from, to);
    }
    assert!(rig.forwarded(from) > 0);
    rig.sockets.close(to);
    rig.until(|_| reader.is_finished());
    assert!(reader.join().expect("reader") == sent);
    drop(writer.join());
}

#[test]
fn no_more_is_forwarded_than_allowed() {
    let mut rig = Rig::new();
    let (mut client, from, _to, mut backend) = joined(&mut rig, 100_000);
    client.write_all(&pattern(100_500)).expect("write");
    rig.until(|rig| rig.forwarded(from) + rig.bytes(from).len() == 100_500);
    assert_eq!(rig.forwarded(from), 100_000);
    assert!(rig.bytes(from) == pattern(100_500)[100_000..]);
    let mut got = vec![0; 100_000];
    backend.read_exact(&mut got).expect("read");
    assert!(got == pattern(100_000));
}

#[test]
fn a_reader_that_is_slow_gets_all_and_is_told_of_once() {
    let mut rig = Rig::new();
    let (mut client, from, to, backend) = joined(&mut rig, u64::MAX);
    client.set_nonblocking(true).expect("nonblocking");
    let sent = pattern(30_000_000);
    let mut written = 0;
    let queued =
        |rig: &Rig| matches!(rig.told(from).last(), Some(Told::Forwarded(_, Sent::Queued)));
    // Nobody reads at the other end: at some time its socket takes no more.
    while !queued(&rig) {
        written += client.write(&sent[written..]).unwrap_or(0);
        rig.turn(Duration::from_millis(1));
    }
    rig.sockets.pause(from);
    let kept = rig.sockets.queued(to);
    assert!(kept > 0 && kept <= FORWARD_BYTES as usize, "{kept}");
    let forwarded = rig.forwarded(from);
    rig.settle();
    assert_eq!(rig.forwarded(from), forwarded);
    rig.sockets.finish(to);
    let reader = reading(backend);
    rig.until(|rig| rig.told(to) == [Told::Writable]);
    rig.until(|_| reader.is_finished());
    assert!(reader.join().expect("reader") == sent[..forwarded]);
}

#[test]
fn who_is_paused_at_the_end_of_its_turn_still_sends_what_waits() {
    let mut rig = Rig::new();
    let (mut client, from, _to, _backend) = joined(&mut rig, u64::MAX);
    while rig.sockets.send(from, &pattern(100_000), b"") == Sent::All {}
    let reader = reading(client.try_clone().expect("clone"));
    client.write_all(&pattern(10_000)).expect("write");
    for what in [PollFlags::OUT, PollFlags::IN] {
        wait_come(&rig.sockets.slots.get(from).expect("open").socket, what);
    }
    rig.wait(Duration::from_millis(10));
    // The relay has no more turns left after it stopped reading; epoll says once that there is room.
    while !rig.told(from).iter().any(|told| matches!(told, Told::Forwarded(..))) {
        let told = rig.sockets.next(from, &mut rig.buffer).expect("something to tell");
        rig.heard.push((from, Heard::Other(told)));
    }
    rig.sockets.pause(from);
    rig.sockets.yield_turn(from);
    rig.until(|rig| rig.told(from).contains(&Told::Writable));
    rig.sockets.close(from);
    drop(client);
    rig.until(|_| reader.is_finished());
}

/// Time passes so much slower for a flood: what is fast hangs on the machine, and a sanitizer.
const SLOWER: u32 = 16;

/// A client that goes on writing to a backend that takes all, or nothing.
struct Flood {
    rig: Rig,
    client: TcpStream,
    backend: TcpStream,
    from: ConnId,
    to: ConnId,
    written: u64,
    taken: u64,
    start: Instant,
}

impl Flood {
    fn new() -> Self {
        let mut rig = Rig::new();
        let (client, from, to, backend) = joined(&mut rig, u64::MAX);
        client.set_nonblocking(true).expect("nonblocking");
        backend.set_nonblocking(true).expect("nonblocking");
        Flood { rig, client, backend, from, to, written: 0, taken: 0, start: Instant::now() }
    }

    fn turn(&mut self) {
        assert!(self.start.elapsed() < Duration::from_secs(10), "{:?}", self.rig.summary());
        self.writes();
        self.go_on();
    }

    /// The client writes a piece; whether its socket took any of it.
    fn writes(&mut self) -> bool {
        let count = self.client.write(&vec![7; 256 * 1024]).unwrap_or(0);
        self.written += count as u64;
        count > 0
    }

    fn go_on(&mut self) {
        self.rig.sockets.set_now(Moment::ZERO + self.rig.start.elapsed() / SLOWER);
        self.rig.turn(Duration::from_millis(1));
        self.rig.sockets.run_timers();
        self.rig.relay(self.from, self.to);
    }

    /// The client writes no more: until all that it has written was taken, and then a while.
    fn end_of_flood(&mut self) {
        while self.taken < self.written {
            assert!(self.start.elapsed() < Duration::from_secs(10), "{:?}", self.rig.summary());
            self.go_on();
            self.take();
        }
        while self.gathers_from() > 1 {
            assert!(self.start.elapsed() < Duration::from_secs(10), "it is still waited for");
            self.go_on();
        }
    }

    /// Who has stopped is told of from the first byte on.
    fn goes_on_byte_by_byte(&mut self) {
        assert_eq!(self.gathers_from(), 1);
        self.client.write_all(b"next").expect("write");
        self.written += 4;
        self.end_of_flood();
    }

    /// From how many bytes on the kernel tells of what the client has written.
    fn gathers_from(&self) -> usize {
        let from = self.rig.sockets.slots.get(self.from).expect("open");
        socket::told_from(&from.socket)
    }

    fn take(&mut self) {
        let mut room = vec![0; 1 << 20];
        while let Ok(count @ 1..) = self.backend.read(&mut room) {
            self.taken += count as u64;
        }
    }

    fn width(&self) -> Width {
        self.rig.sockets.slots.get(self.to).expect("open").width()
    }
}

/// Takes all until so much may wait for it, and then nothing; how much it took.
fn take_until(width: Width) -> u64 {
    let mut flood = Flood::new();
    while flood.width() < width {
        flood.turn();
        flood.take();
    }
    while flood.rig.sockets.queued(flood.to) == 0 {
        flood.turn();
    }
    flood.rig.sockets.look_for_dead();
    assert_eq!(flood.width(), Width::Narrow);
    flood.taken
}

#[test]
fn who_goes_fast_may_have_much_waiting_until_it_stops() {
    take_until(Width::Wide);
}

#[test]
fn who_goes_fastest_is_given_more_at_once_until_it_stops() {
    let taken = take_until(Width::Widest);
    assert!(taken >= FASTEST_BYTES / 2, "{taken}");
}

#[test]
fn only_much_in_little_time_is_fastest() {
    let widths = |between: Duration| {
        let (mut rig, mut now) = (Rig::new(), Moment::ZERO);
        let to = rig.adopt(tcp_pair().0);
        let mut forward = Forward::new(to, u64::MAX, now);
        let mut width = |_| {
            now = now + between;
            forward.note(1 << 20, now)
        };
        (0..32).map(&mut width).collect::<Vec<_>>()
    };
    let fast = widths(Duration::from_millis(15));
    assert_eq!((fast[0], fast[2], fast[3], fast[31]), {
        (Width::Wide, Width::Wide, Width::Widest, Width::Widest)
    });
    assert!(widths(Duration::from_millis(16)).iter().all(|width| *width == Width::Wide));
}

#[test]
fn small_pieces_in_a_row_are_told_again() {
    let mut rig = Rig::new();
    let (mut client, from, _to, backend) = joined(&mut rig, u64::MAX);
    let mut gone = 0;
    let mut one = |rig: &mut Rig, length: usize| {
        client.write_all(&pattern(length)).expect("write");
        gone += length;
        rig.until(|rig| rig.forwarded(from) + rig.bytes(from).len() == gone);
    };
    for _ in 0..2 {
        // What a write of a fast sender ends with is no reason.
        (1..FORWARD_SMALL).for_each(|_| one(&mut rig, 3));
        one(&mut rig, FORWARD_LEAST);
    }
    assert_eq!(rig.bytes(from), b"");
    (0..FORWARD_SMALL).for_each(|_| one(&mut rig, 3));
    assert_eq!(rig.bytes(from), b"");
    one(&mut rig, FORWARD_LEAST);
    assert_eq!(rig.bytes(from), pattern(FORWARD_LEAST));
    drop(backend);
}

/// A client that has been fast, whose bytes gather by now.
fn gathering() -> Flood {
    let mut flood = Flood::new();
    while flood.gathers_from() == 1 {
        flood.turn();
        flood.take();
    }
    // What it has written in the meantime.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(50) || flood.gathers_from() == 1 {
        flood.turn();
        flood.take();
    }
    flood
}

#[test]
fn bytes_of_a_fast_sender_gather_but_are_never_kept() {
    let mut flood = gathering();
    let least = flood.gathers_from();
    assert!(least >= FASTEST_BYTES as usize / FASTEST_MS as usize / 2, "{least}");
    // Then it stops, below that: all of what it has written arrives.
    flood.end_of_flood();
    flood.goes_on_byte_by_byte();
}

#[test]
fn who_is_told_that_it_forwards_no_more_hears_of_each_byte() {
    let mut flood = gathering();
    flood.rig.sockets.forward(flood.from, flood.to, 0);
    assert_eq!(flood.gathers_from(), 1);
}

#[test]
fn the_last_of_a_message_is_not_waited_for() {
    let message = 3 * FASTEST_BYTES;
    let mut flood = Flood::new();
    flood.rig.sockets.forward(flood.from, flood.to, message);
    let mut last = 1;
    while flood.rig.forwarded(flood.from) < message as usize {
        last = last.max(flood.gathers_from());
        flood.turn();
        flood.take();
    }
    assert!(last > 1);
    assert_eq!(flood.gathers_from(), 1, "the next message begins with one byte");
}

#[test]
fn what_comes_while_paused_does_not_wake_and_is_there_afterwards() {
    let mut flood = gathering();
    flood.rig.sockets.pause(flood.from);
    // What had been noted before.
    flood.rig.settle();
    for _ in 0..4 {
        while flood.writes() {}
        wait_come(&flood.rig.sockets.slots.get(flood.from).expect("open").socket, PollFlags::IN);
        flood.rig.wait(Duration::from_millis(1));
        let about = |index: usize| flood.rig.events.at(index);
        let told = (0..flood.rig.events.len()).map(about);
        let told: Vec<_> = told.filter(|(_, signs)| signs.readable).collect();
        assert!(told.iter().all(|(source, _)| *source == Source::Alarm), "{told:?}");
    }
    flood.rig.sockets.resume(flood.from);
    flood.end_of_flood();
    flood.goes_on_byte_by_byte();
}

#[test]
fn what_can_not_be_forwarded_is_told() {
    let mut rig = Rig::new();
    let (mut client, from, to, backend) = joined(&mut rig, u64::MAX);
    rig.sockets.close(to);
    client.write_all(&pattern(10_000)).expect("write");
    rig.until(|rig| rig.bytes(from).len() == 10_000);
    drop(backend);

    // A failure of the one it goes to is told of that one.
    let (mut client, from, to, backend) = joined(&mut rig, u64::MAX);
    reset(backend);
    client.write_all(&pattern(10_000)).expect("write");
    rig.until(|rig| rig.told(to) == [Told::Failed(IoFailure::Reset)]);
    // And a reset of its own comes as ever.
    reset(client);
    rig.until(|rig| rig.told(from).last() == Some(&Told::Failed(IoFailure::Reset)));
}
