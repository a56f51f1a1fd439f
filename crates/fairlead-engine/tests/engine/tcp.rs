//! Bytes go through as they are, whatever happens to them on the way.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use fairlead_model::plan::Protocol;

use crate::kit::{address, connect, echo, port, start, status, until, Backend};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

fn reset(stream: TcpStream) {
    let linger = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&stream, linger).expect("linger");
    drop(stream);
}

#[test]
fn bytes_come_back_and_a_half_close_passes_through() {
    let backend = echo();
    let engine = start(1, Protocol::Tcp, &[backend.address]);
    let mut client = connect(address(&engine));
    client.write_all(b"hello").expect("write");
    let mut five = [0; 5];
    client.read_exact(&mut five).expect("read");
    client.write_all(b" world").expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("read");
    assert_eq!((&five, rest.as_slice()), (b"hello", b" world".as_slice()));
    until("the connection is counted as ended", || {
        let status = status(&engine);
        status["listeners"][0]["connections_active"] == 0
            && status["pools"][0]["backends"][0]["active"] == 0
    });
    let status = status(&engine);
    assert_eq!(status["listeners"][0]["connections_total"], 1);
    assert_eq!(status["listeners"][0]["bytes_in"], 11);
    assert_eq!(status["listeners"][0]["bytes_out"], 11);
}

#[test]
fn much_goes_both_ways_at_once() {
    let backend = echo();
    let engine = start(2, Protocol::Tcp, &[backend.address]);
    let sent = pattern(30_000_000);
    let mut client = connect(address(&engine));
    let mut writer = client.try_clone().expect("clone");
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).expect("write");
        writer.shutdown(Shutdown::Write).expect("shutdown");
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).expect("read");
    writing.join().expect("writer");
    assert!(received == sent);
}

#[test]
fn a_reader_that_pauses_holds_the_writer_back_and_loses_nothing() {
    const SIZE: usize = 64_000_000;
    let backend = Backend::new(|mut stream| {
        let _ = stream.write_all(&pattern(SIZE));
    });
    let engine = start(1, Protocol::Tcp, &[backend.address]);
    let mut client = connect(address(&engine));
    std::thread::sleep(Duration::from_millis(300));
    let passed = status(&engine)["pools"][0]["backends"][0]["bytes_in"].as_u64();
    assert!(passed.is_some_and(|passed| passed < SIZE as u64 / 2), "{passed:?} bytes held");
    let mut received = Vec::new();
    client.read_to_end(&mut received).expect("read");
    assert!(received == pattern(SIZE));
}

#[test]
fn a_reset_passes_through_in_both_directions() {
    let backend = Backend::new(|mut stream| {
        let mut byte = [0];
        let _ = stream.read_exact(&mut byte);
        reset(stream);
    });
    let engine = start(1, Protocol::Tcp, &[backend.address]);
    let mut client = connect(address(&engine));
    client.write_all(b"x").expect("write");
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (told, hears) = std::sync::mpsc::channel();
    let backend = Backend::new(move |mut stream| {
        let mut byte = [0];
        let _ = told.send(stream.read(&mut byte).err().map(|error| error.kind()));
        let _ = told.send(stream.read(&mut byte).err().map(|error| error.kind()));
    });
    let engine = start(1, Protocol::Tcp, &[backend.address]);
    let mut client = connect(address(&engine));
    client.write_all(b"x").expect("write");
    let heard = hears.recv_timeout(Duration::from_secs(5)).expect("the byte");
    assert_eq!(heard, None, "the relay stands");
    reset(client);
    let heard = hears.recv_timeout(Duration::from_secs(5)).expect("an end");
    assert_eq!(heard, Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_dead_backend_costs_no_error() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let dead_address = dead.local_addr().expect("address");
    drop(dead);
    let backend = echo();
    let engine = start(1, Protocol::Tcp, &[dead_address, backend.address]);
    for _ in 0..6 {
        let mut client = connect(address(&engine));
        client.write_all(b"x").expect("write");
        client.read_exact(&mut [0]).expect("an answer");
    }
    assert!(port(&engine) != 0);
}
