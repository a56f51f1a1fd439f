//! A new configuration comes into force as a whole or not at all, and nobody is cut.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use fairlead_model::plan::{Bind, Protocol};

use crate::kit::{
    address, connect, echo, header, listener, local, plan, port, start, status, until, web, Client,
};

#[test]
fn connections_and_counters_live_on() {
    let (one, other) = (web("one"), web("other"));
    let engine = start(2, Protocol::Http, &[one.address]);
    let mut client = Client::new(address(&engine));
    assert_eq!(client.ask("/").1, "one");
    let before = address(&engine);
    engine
        .apply(plan(vec![listener("web", Protocol::Http, local(0))], &[other.address]))
        .expect("apply");
    assert_eq!(address(&engine), before);
    assert_eq!(client.ask("/").1, "other");
    until("both are counted", || status(&engine)["listeners"][0]["requests_total"] == 2);
    // The socket stays with its address, even under another name.
    engine
        .apply(plan(vec![listener("site", Protocol::Http, local(0))], &[other.address]))
        .expect("apply");
    assert_eq!(engine.addresses(), [("site".to_owned(), before.to_string())]);
    assert_eq!(Client::new(before).ask("/").1, "other");
}

#[test]
fn a_relay_under_way_outlives_its_listener() {
    let backend = echo();
    let engine = start(1, Protocol::Tcp, &[backend.address]);
    let mut client = connect(address(&engine));
    client.write_all(b"a").expect("write");
    client.read_exact(&mut [0]).expect("read");
    engine.apply(plan(Vec::new(), &[])).expect("apply");
    assert_eq!(engine.addresses(), []);
    assert!(TcpStream::connect(client.peer_addr().expect("peer")).is_err());
    client.write_all(b"b").expect("write");
    client.read_exact(&mut [0]).expect("read");
}

#[test]
fn a_port_in_use_leaves_everything_as_it_was() {
    let backend = web("one");
    let engine = start(2, Protocol::Http, &[backend.address]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let taken = taken.local_addr().expect("address").port();
    let mut second = listener("second", Protocol::Http, local(taken));
    second.bind.push(Bind::Unix("/nonexistent/folder/x.sock".to_owned()));
    let third = listener("third", Protocol::Http, local(0));
    let _held = TcpListener::bind(("127.0.0.1", taken));
    let problems = engine.apply(plan(vec![third, second], &[])).expect_err("the port is taken");
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            format!("listener `second`: 127.0.0.1:{taken}: address already in use"),
            "listener `second`: unix:/nonexistent/folder/x.sock: no such directory".to_owned(),
        ]
    );
    assert_eq!(engine.addresses().len(), 1);
    assert_eq!(Client::new(address(&engine)).ask("/").1, "one");
}

#[test]
fn a_regex_that_does_not_compile_changes_nothing() {
    let backend = web("one");
    let engine = start(1, Protocol::Http, &[backend.address]);
    let mut broken = listener("web", Protocol::Http, local(0));
    broken.routes.push(fairlead_model::plan::RoutePlan {
        host: None,
        path: Some(fairlead_model::plan::PathMatch::Regex("(".to_owned())),
        methods: Vec::new(),
        headers: Vec::new(),
        pool: 0,
    });
    let problems = engine.apply(plan(vec![broken], &[])).expect_err("a bad pattern");
    assert_eq!(problems.len(), 1);
    assert_eq!(Client::new(address(&engine)).ask("/").1, "one");
}

#[test]
fn a_listener_can_get_narrower_on_the_same_port() {
    let backend = web("one");
    let engine = start(2, Protocol::Http, &[backend.address]);
    let wide = listener("web", Protocol::Http, Bind::Any(0));
    engine.apply(plan(vec![wide], &[backend.address])).expect("apply");
    let port = port(&engine);
    let narrow = listener("web", Protocol::Http, local(port));
    engine.apply(plan(vec![narrow], &[backend.address])).expect("apply");
    assert_eq!(engine.addresses()[0].1, format!("127.0.0.1:{port}"));
    assert_eq!(Client::new(address(&engine)).ask("/").1, "one");
}

#[test]
fn no_request_fails_while_the_configuration_changes_all_the_time() {
    let (one, other) = (web("one"), web("other"));
    let engine = start(2, Protocol::Http, &[one.address, other.address]);
    let at = address(&engine);
    let clients: Vec<_> = (0..4)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::new(at);
                for round in 0..300 {
                    let (head, _) = client.ask("/");
                    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                    if (round + number) % 10 == 0 || header(&head, "connection") == Some("close") {
                        client = Client::new(at);
                    }
                }
            })
        })
        .collect();
    let mut turn = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        turn += 1;
        let backends = [[one.address, other.address], [other.address, one.address]];
        let mut listeners = vec![listener("web", Protocol::Http, local(0))];
        listeners.extend((turn % 3 == 0).then(|| listener("extra", Protocol::Tcp, local(0))));
        engine.apply(plan(listeners, &backends[turn % 2])).expect("apply");
    }
    for client in clients {
        client.join().expect("all were answered");
    }
    assert!(turn > 5);
}

#[test]
fn applied_is_told() {
    let engine = start(1, Protocol::Http, &[]);
    let event = crate::kit::event(&engine, "applied");
    assert_eq!((&event["listeners"], &event["pools"]), (&1.into(), &1.into()));
}
