//! Requests are answered, by whoever can.

use fairlead_model::plan::Protocol;

use crate::kit::{address, header, start, status, until, web, Client};

#[test]
fn requests_on_a_kept_connection_are_spread_and_backends_kept_too() {
    let (one, other) = (web("one"), web("other"));
    let engine = start(1, Protocol::Http, &[one.address, other.address]);
    let mut client = Client::new(address(&engine));
    let answers: Vec<_> = (0..10).map(|_| client.ask("/").1).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "one").count(), 5);
    assert_eq!(answers.iter().filter(|answer| *answer == "other").count(), 5);
    assert_eq!((one.connections(), other.connections()), (1, 1));
    until("all are counted", || status(&engine)["listeners"][0]["requests_total"] == 10);
    assert_eq!(status(&engine)["listeners"][0]["codes"]["200"], 10);
}

#[test]
fn with_nobody_left_the_answer_says_so() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let dead_address = dead.local_addr().expect("address");
    drop(dead);
    let engine = start(1, Protocol::Http, &[dead_address]);
    let mut client = Client::new(address(&engine));
    let (head, _) = client.ask("/");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(header(&head, "x-fairlead-reason").is_some(), "{head}");
}

#[test]
fn an_operators_wish_is_followed_at_once() {
    let (one, other) = (web("one"), web("other"));
    let engine = start(2, Protocol::Http, &[one.address, other.address]);
    let name = one.address.to_string();
    let wish = fairlead_model::backend::Wish::Draining;
    assert_eq!(engine.set_state("app", &name, wish), Ok(true));
    assert_eq!(engine.set_state("app", &name, wish), Ok(false));
    let mut client = Client::new(address(&engine));
    assert!((0..6).all(|_| client.ask("/").1 == "other"));
    let shown = &status(&engine)["pools"][0]["backends"][0];
    assert_eq!(shown["state"], "draining");
    let event = crate::kit::event(&engine, "wish");
    assert_eq!(event["what"], "state enabled -> draining");
    assert!(engine.set_state("app", "nobody:1", wish).is_err());
    assert_eq!(engine.set_weight("app", &name, 7), Ok(true));
    assert_eq!(crate::kit::event(&engine, "wish")["what"], "weight 1 -> 7");
}

#[test]
fn checks_from_outside_change_health() {
    let backend = web("one");
    let engine = crate::kit::engine(1);
    let listener = crate::kit::listener("web", Protocol::Http, crate::kit::local(0));
    let mut plan = crate::kit::plan(vec![listener], &[backend.address]);
    plan.pools[0].check.kind = fairlead_model::plan::CheckKind::External;
    engine.apply(plan).expect("apply");
    engine.start_accepting();
    let name = backend.address.to_string();
    for _ in 0..3 {
        engine.report_check("app", &name, false, "exit status 1").expect("known");
    }
    let mut client = Client::new(address(&engine));
    assert!(client.ask("/").0.starts_with("HTTP/1.1 503 "));
    let shown = &status(&engine)["pools"][0]["backends"][0];
    assert_eq!((&shown["health"], &shown["checks_failed"]), (&"down".into(), &3.into()));
    assert!(shown["reason"].as_str().is_some_and(|why| why.contains("exit status 1")), "{shown}");
    assert!(shown["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{shown}");
    for _ in 0..2 {
        engine.report_check("app", &name, true, "").expect("known");
    }
    assert_eq!(client.ask("/").1, "one");
    assert_eq!(crate::kit::event(&engine, "health")["backend"], name.as_str());
}

#[test]
fn first_checks_can_be_waited_for() {
    let backend = web("one");
    let engine = crate::kit::engine(2);
    let listener = crate::kit::listener("web", Protocol::Http, crate::kit::local(0));
    let mut plan = crate::kit::plan(vec![listener], &[backend.address]);
    plan.pools[0].check.kind = fairlead_model::plan::CheckKind::Tcp;
    engine.apply(plan).expect("apply");
    assert!(engine.wait_first_checks(crate::kit::PATIENCE));
    let shown = &status(&engine)["pools"][0]["backends"][0];
    assert_eq!(shown["health"], "healthy", "{shown}");
    // Open, but nobody is accepted yet.
    let mut early = Client::new(address(&engine));
    early.send("/");
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(status(&engine)["listeners"][0]["connections_total"], 0);
    engine.start_accepting();
    assert_eq!(early.receive().expect("an answer").1, "one");
}
