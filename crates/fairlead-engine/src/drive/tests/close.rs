//! How connections end, and what is left of them.

use fairlead_flow::slab;

use super::*;

#[test]
fn abort_resets_and_close_does_not() {
    let mut rig = Rig::new();
    let (mut client, ours) = tcp_pair();
    let id = rig.adopt(ours);
    rig.sockets.abort(id);
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let (mut client, ours) = tcp_pair();
    let id = rig.adopt(ours);
    rig.sockets.close(id);
    assert_eq!(client.read(&mut [0]).expect("an orderly end"), 0);
}

#[test]
fn the_last_bytes_and_the_end_leave_together() {
    let mut rig = Rig::new();
    for closes in [true, false] {
        let (client, ours) = tcp_pair();
        let id = rig.adopt(ours);
        assert_eq!(rig.sockets.send_last(id, b"the", b" end"), Sent::All);
        rig.sockets.finish(id);
        if closes {
            rig.sockets.close(id);
        }
        let mut all = String::new();
        (&client).read_to_string(&mut all).expect("an orderly end");
        assert_eq!(all, "the end");
    }
}

#[test]
fn the_last_bytes_of_much_follow_in_order() {
    let mut rig = Rig::new();
    let (mut client, ours) = tcp_pair();
    let id = rig.adopt(ours);
    let much = pattern(8 << 20);
    assert_eq!(rig.sockets.send_last(id, &much, b"!"), Sent::Queued);
    rig.sockets.finish(id);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("an orderly end");
        all
    });
    rig.until(|rig| rig.told(id).contains(&Told::Writable));
    rig.sockets.close(id);
    let all = reader.join().expect("reader");
    assert!(all.len() == much.len() + 1 && all.starts_with(&much));
}

#[test]
fn a_closed_connection_sends_what_is_queued_and_tells_nothing() {
    let (mut rig, mut client, id) = one();
    let sent = pattern(8_000_000);
    assert_eq!(rig.sockets.send(id, &sent, b""), Sent::Queued);
    client.write_all(b"unread").expect("write");
    rig.sockets.close(id);
    assert_eq!(rig.sockets.closing(), 1);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("read");
        all
    });
    rig.until(|rig| rig.sockets.closing() == 0);
    assert!(reader.join().expect("reader") == sent);
    assert_eq!(rig.heard, []);
}

#[test]
fn a_closed_connection_that_takes_nothing_is_reset_after_its_time() {
    let (mut rig, mut client, id) = one();
    assert_eq!(rig.sockets.send(id, &pattern(8_000_000), b""), Sent::Queued);
    rig.sockets.close(id);
    assert_eq!(rig.sockets.deadline(), Some(Moment::ZERO + CLOSING));
    rig.sockets.set_now(Moment::ZERO + CLOSING);
    rig.sockets.run_timers();
    assert_eq!((rig.sockets.closing(), rig.sockets.deadline()), (0, None));
    let error = std::io::copy(&mut client, &mut std::io::sink()).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_peak_is_told_once_when_it_has_left_even_by_one_that_stays_in_the_last_place() {
    let mut rig = Rig::new();
    let mut rounds = 0;
    let mut round = |rig: &mut Rig| {
        rounds += 1;
        rig.sockets.set_now(Moment::ZERO + ROUND * rounds);
        rig.sockets.run_timers().map(|round| round.peak_has_left)
    };
    let many = |rig: &mut Rig| -> Vec<_> {
        (0..=slab::KEPT).map(|_| tcp_pair()).map(|(_, ours)| rig.adopt(ours)).collect()
    };
    let mut peak = many(&mut rig);
    let stays = peak.pop().expect("one");
    assert_eq!(rig.sockets.run_timers(), None, "a round is not over");
    for _ in 0..2 {
        assert_eq!(round(&mut rig), Some(false), "they are here");
        peak.drain(..).for_each(|id| rig.sockets.abort(id));
        assert_eq!(round(&mut rig), Some(true));
        assert_eq!(round(&mut rig), Some(false), "that was seen to");
        peak = many(&mut rig);
    }
    assert_eq!(round(&mut rig), Some(false));
    peak.into_iter().chain([stays]).for_each(|id| rig.sockets.abort(id));
    assert_eq!(round(&mut rig), Some(true));
    assert_eq!(rig.sockets.deadline(), None, "all is given back");
}
