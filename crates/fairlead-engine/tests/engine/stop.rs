//! An engine stops when what is under way is done, or when its time is over.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fairlead_model::plan::{Bind, Protocol};

use crate::kit::{
    address, connect, echo, header, listener, plan, start, until, web, Client, PATIENCE,
};

#[test]
fn a_request_under_way_is_answered_and_nobody_new_let_in() {
    let backend = web("one");
    let engine = start(2, Protocol::Http, &[backend.address]);
    let at = address(&engine);
    let mut client = Client::new(at);
    client.send("/slow");
    until("it is under way", || backend.connections() == 1);
    let engine = std::sync::Arc::new(engine);
    let other = std::sync::Arc::clone(&engine);
    let stopping = std::thread::spawn(move || other.stop(PATIENCE));
    until("nobody new is let in", || TcpStream::connect(at).is_err());
    // Status can be asked for meanwhile.
    assert!(!engine.status().is_empty());
    let (head, body) = client.receive().expect("an answer");
    assert_eq!((header(&head, "connection"), body.as_str()), (Some("close"), "one"));
    assert!(stopping.join().expect("stop"));
}

#[test]
fn who_takes_too_long_is_cut() {
    let backend = echo();
    let engine = start(1, Protocol::Tcp, &[backend.address]);
    let mut client = connect(address(&engine));
    client.write_all(b"a").expect("write");
    client.read_exact(&mut [0]).expect("read");
    let start = Instant::now();
    assert!(!engine.stop(Duration::from_millis(200)));
    assert!(start.elapsed() < PATIENCE);
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn an_idle_engine_stops_at_once_and_dropping_one_ends_it() {
    let backend = web("one");
    let engine = start(2, Protocol::Http, &[backend.address]);
    let start_time = Instant::now();
    assert!(engine.stop(PATIENCE));
    assert!(engine.stop(PATIENCE));
    assert!(engine.apply(plan(Vec::new(), &[])).is_err());
    assert!(start_time.elapsed() < Duration::from_secs(2));

    let engine = start(2, Protocol::Http, &[backend.address]);
    let at = address(&engine);
    let mut client = Client::new(at);
    client.ask("/");
    drop(engine);
    assert!(TcpStream::connect(at).is_err());
    assert!(crate::kit::engine(3).stop(PATIENCE));
}

#[test]
fn a_unix_listener_answers_and_its_file_goes_with_it() {
    let backend = web("one");
    let engine = crate::kit::engine(1);
    let folder = std::env::temp_dir().join(format!("fairlead-stop-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let path = folder.join("web.sock");
    let bind = Bind::Unix(path.to_string_lossy().into_owned());
    let setup = plan(vec![listener("web", Protocol::Http, bind)], &[backend.address]);
    engine.apply(setup).expect("apply");
    engine.start_accepting();
    let mut client = std::os::unix::net::UnixStream::connect(&path).expect("connect");
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("write");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("read");
    assert!(answer.ends_with("\r\n\r\none"), "{answer}");
    assert!(engine.stop(PATIENCE));
    assert!(!path.exists());
    std::fs::remove_dir_all(&folder).expect("clean");
}
