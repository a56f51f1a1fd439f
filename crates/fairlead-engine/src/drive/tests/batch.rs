//! What is easily lost, told twice or put in the wrong order where calls are made in batches. All
//! of it holds where each call is made by itself, too.

use super::*;
use crate::sys::ring::BATCH;

/// With the least room that there is: of 4,000 bytes 2,304 fit.
fn narrow_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let theirs = socket::stream(rustix::net::AddressFamily::INET).expect("socket");
    sockopt::set_socket_recv_buffer_size(&theirs, 1).expect("room");
    let connected = rustix::net::connect(&theirs, &listener.local_addr().expect("address"));
    assert!(matches!(connected, Ok(()) | Err(rustix::io::Errno::INPROGRESS)));
    let (ours, _) = listener.accept().expect("accept");
    sockopt::set_socket_send_buffer_size(&ours, 1).expect("room");
    let theirs = TcpStream::from(theirs);
    theirs.set_nonblocking(false).expect("blocking");
    (theirs, ours)
}

/// Waits until something has happened, and notes it.
fn wait_for_events(rig: &mut Rig) {
    let start = Instant::now();
    rig.wait(Duration::from_millis(10));
    while rig.events.len() == 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "nothing has happened");
        rig.wait(Duration::from_millis(10));
    }
}

/// The same, and receives for all whose turn comes next.
fn begin_turn(rig: &mut Rig) {
    wait_for_events(rig);
    rig.sockets.look_ahead(&rig.events, 0);
}

#[test]
fn what_is_left_of_a_short_send_follows_in_order() {
    let (theirs, ours) = narrow_pair();
    let mut rig = Rig::new();
    let id = rig.adopt(ours);
    let sent = pattern(12_000);
    for piece in sent.chunks(4_000) {
        let _ = rig.sockets.send(id, &piece[..100], &piece[100..]);
    }
    rig.sockets.submit();
    let queued = rig.sockets.queued(id);
    assert!((1..12_000).contains(&queued) && queued % 4_000 != 0, "{queued}");
    rig.sockets.finish(id);
    let reader = std::thread::spawn(move || read_all(theirs));
    rig.until(|rig| rig.told(id).contains(&Told::Writable));
    assert_eq!(rig.sockets.queued(id), 0);
    rig.until(|_| reader.is_finished());
    assert!(reader.join().expect("reader") == sent);
}

#[test]
fn what_a_full_socket_does_not_take_at_all_follows_in_order() {
    let (mut theirs, ours) = UnixStream::pair().expect("pair");
    sockopt::set_socket_send_buffer_size(&ours, 1).expect("room");
    let mut rig = Rig::new();
    let full = vec![7; 3_000];
    let before = {
        let mut sent = 0;
        while let Ok(count) = socket::send(&ours, &full, b"") {
            sent += count;
        }
        sent
    };
    let id = rig.adopt(ours);
    let _ = rig.sockets.send(id, b"the ", b"rest");
    rig.sockets.submit();
    assert_eq!(rig.sockets.queued(id), 8);
    theirs.read_exact(&mut vec![0; before]).expect("read");
    rig.until(|rig| rig.told(id) == [Told::Writable]);
    rig.sockets.close(id);
    assert_eq!(read_all(theirs), b"the rest");
}

#[test]
fn two_sends_in_a_turn_arrive_in_order_and_the_end_after_them() {
    let (mut rig, theirs, id) = one();
    assert_eq!(rig.sockets.send(id, b"one ", b"and "), Sent::All);
    assert_eq!(rig.sockets.send(id, b"another", b""), Sent::All);
    rig.sockets.finish(id);
    assert_eq!(read_all(theirs), b"one and another");
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    let (mut rig, theirs, id) = one();
    assert_eq!(rig.sockets.send(id, b"last ", b"words"), Sent::All);
    rig.sockets.close(id);
    assert_eq!(read_all(theirs), b"last words");
}

#[test]
fn bytes_that_are_under_way_go_to_nobody_else() {
    let (mut rig, theirs, id) = one();
    rig.settle();
    reset(theirs);
    wait_for_events(&mut rig);
    assert_eq!(rig.sockets.send(id, b"not for", b" you"), Sent::All);
    let number = std::os::fd::AsRawFd::as_raw_fd(&rig.sockets.slots.get(id).expect("it").socket);
    rig.serve(id);
    assert_eq!(rig.told(id), [Told::Failed(IoFailure::Reset)]);
    // Whoever comes next has its descriptor, or the test shows nothing.
    let other = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    );
    let (one, other) = other.expect("pair");
    let place = rustix::io::fcntl_dupfd_cloexec(&one, number).expect("duplicate");
    let (mut theirs, id) = (UnixStream::from(other), rig.adopt(place));
    drop(one);
    rig.sockets.submit();
    assert_eq!(rig.sockets.send(id, b"for you", b""), Sent::All);
    rig.sockets.close(id);
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).expect("read");
    assert_eq!(heard, b"for you");
}

#[test]
fn more_have_something_to_say_than_there_are_buffers() {
    let mut rig = Rig::new();
    let mut all = Vec::new();
    for number in 0..2 * BATCH + 3 {
        let (mut client, ours) = tcp_pair();
        client.write_all(format!("this is {number}").as_bytes()).expect("write");
        all.push((client, rig.adopt(ours)));
    }
    rig.until(|rig| rig.heard.len() == all.len());
    for (number, (_, id)) in all.iter().enumerate() {
        assert_eq!(rig.bytes(*id), format!("this is {number}").into_bytes());
    }
}

#[test]
fn what_came_before_a_pause_is_told_after_it_once_and_first() {
    let (mut rig, mut client, id) = one();
    rig.settle();
    client.write_all(b"early").expect("write");
    begin_turn(&mut rig);
    rig.sockets.pause(id);
    rig.serve(id);
    rig.sockets.put_aside();
    client.write_all(b" late").expect("write");
    rig.settle();
    assert_eq!(rig.heard, []);
    assert!(!rig.sockets.is_quiet(id) && rig.sockets.has_news(id));
    rig.sockets.resume(id);
    rig.until(|rig| rig.bytes(id) == b"early late");
    client.shutdown(Shutdown::Write).expect("shutdown");
    rig.until(|rig| rig.told(id) == [Told::Eof]);
    assert_eq!(rig.bytes(id), b"early late");
}

#[test]
fn an_end_that_came_before_a_pause_is_told_after_it() {
    let (mut rig, client, id) = one();
    rig.settle();
    client.shutdown(Shutdown::Write).expect("shutdown");
    begin_turn(&mut rig);
    rig.sockets.pause(id);
    rig.serve(id);
    rig.sockets.put_aside();
    rig.settle();
    assert_eq!(rig.heard, []);
    rig.sockets.resume(id);
    rig.until(|rig| rig.told(id) == [Told::Eof]);
}

#[test]
fn of_a_connection_that_is_closed_before_its_turn_nothing_is_told() {
    let (mut rig, mut client, id) = one();
    rig.settle();
    client.write_all(b"too late").expect("write");
    begin_turn(&mut rig);
    rig.sockets.close(id);
    rig.serve(id);
    rig.sockets.put_aside();
    rig.settle();
    assert_eq!(rig.heard, []);
    // What came is no reason for a reset if it was read.
    drop(client);
}

#[test]
fn what_was_kept_over_a_pause_goes_with_its_connection() {
    let (mut rig, mut client, id) = one();
    rig.settle();
    client.write_all(b"early").expect("write");
    begin_turn(&mut rig);
    rig.sockets.pause(id);
    rig.sockets.put_aside();
    rig.sockets.abort(id);
    let (mut client, ours) = tcp_pair();
    let next = rig.adopt(ours);
    client.write_all(b"other").expect("write");
    rig.until(|rig| rig.bytes(next) == b"other");
    assert_eq!(rig.heard.len(), 1);
    assert!(rig.sockets.batch.as_ref().is_none_or(|batch| batch.holds_nothing()));
}

#[test]
fn what_came_before_it_was_to_be_forwarded_is_told_and_ends_that() {
    let (mut client, ours) = tcp_pair();
    let (other, theirs) = tcp_pair();
    let mut rig = Rig::new();
    let (from, to) = (rig.adopt(ours), rig.adopt(theirs));
    rig.settle();
    client.write_all(b"before").expect("write");
    begin_turn(&mut rig);
    rig.sockets.forward(from, to, 1_000);
    rig.serve(from);
    rig.sockets.put_aside();
    let told = rig.bytes(from).len() as u64;
    let forwarded = rig.told(from).into_iter().map(|told| match told {
        Told::Forwarded(count, Sent::All) => count as u64,
        other => panic!("{other:?}"),
    });
    assert_eq!(told + forwarded.sum::<u64>(), 6, "all of it was told in one of the two ways");
    if told > 0 {
        let forward = &rig.sockets.slots.get(from).expect("it").forward;
        assert!(forward.is_none(), "what is told now is not in the count");
    }
    drop(other);
}

#[test]
fn what_is_forwarded_comes_after_what_was_sent() {
    let (mut client, ours) = tcp_pair();
    let (theirs, other) = tcp_pair();
    let mut rig = Rig::new();
    let (from, to) = (rig.adopt(ours), rig.adopt(other));
    rig.settle();
    let body = pattern(20_000);
    client.write_all(&body).expect("write");
    wait_for_events(&mut rig);
    assert_eq!(rig.sockets.send(to, b"head", b""), Sent::All);
    rig.sockets.forward(from, to, 20_000);
    rig.serve(from);
    let moved = |rig: &Rig| -> usize {
        let count = |told| match told {
            Told::Forwarded(count, _) => count,
            _ => 0,
        };
        rig.told(from).into_iter().map(count).sum()
    };
    rig.until(|rig| moved(rig) + rig.bytes(from).len() == 20_000);
    let moved = moved(&rig);
    rig.sockets.close(to);
    let heard = read_all(theirs);
    assert!(heard.starts_with(b"head") && heard[4..] == body[..moved], "{} bytes", heard.len());
    assert!(moved > 0);
}

#[test]
fn a_send_to_somebody_who_has_gone_fails_after_the_batch() {
    let (mut rig, mut client, id) = one();
    client.write_all(b"bye").expect("write");
    rig.until(|rig| rig.bytes(id) == b"bye");
    reset(client);
    wait_come(&rig.sockets.slots.get(id).expect("it").socket, PollFlags::empty());
    assert_eq!(rig.sockets.send(id, b"to nobody", b""), Sent::All);
    rig.sockets.submit();
    assert_eq!(rig.sockets.queued(id), 0);
    rig.until(|rig| rig.told(id) == [Told::Failed(IoFailure::Reset)]);
}
