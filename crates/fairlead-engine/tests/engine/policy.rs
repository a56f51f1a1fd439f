//! Somebody sits at a pool's desk, and answers well, late, twice or not at all.

use std::net::SocketAddr;
use std::time::Duration;

use fairlead_engine::{Answer, Asked, Engine, Seat};
use fairlead_model::plan::{Millis, Protocol, PythonPlan};

use crate::kit::{address, event, listener, local, plan, status, until, web, Client};

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(5);

fn asking(backends: &[SocketAddr], timeout: u64) -> Engine {
    let engine = crate::kit::engine(1);
    let mut plan = plan(vec![listener("web", Protocol::Http, local(0))], backends);
    let (name, timeout) = ("mine:Mine".into(), Millis(timeout));
    plan.pools[0].python = Some(PythonPlan { name, timeout, body_prefix: 0 });
    engine.apply(plan).expect("apply");
    engine.start_accepting();
    engine
}

fn question(seat: &Seat) -> Asked {
    seat.take(LONG).expect("the seat is there").pop().expect("a question")
}

fn decisions(engine: &Engine, result: &str) -> u64 {
    let shown = &status(engine)["pools"][0]["steps"]["policy_decisions"][result];
    shown.as_u64().expect("a number")
}

#[test]
fn a_question_is_answered_by_whoever_sits_there() {
    let (one, other) = (web("one"), web("other"));
    let engine = asking(&[one.address, other.address], 5_000);
    let seat = engine.sit_down("app", true).expect("a pool with a policy");
    let mut client = Client::new(address(&engine));
    let asker = std::thread::spawn(move || client.ask("/a").1);
    let asked = question(&seat);
    assert_eq!((asked.candidates, asked.active, asked.attempts), (vec![0, 1], vec![0, 0], 0));
    assert!(asked.head.starts_with(b"GET /a HTTP/1.1\r\n"), "{:?}", asked.head);
    assert_eq!((asked.listener.as_str(), asked.body.len()), ("web", 0));
    assert!(asked.client.is_some() && asked.left <= LONG && !asked.left.is_zero());
    assert_eq!(status(&engine)["pools"][0]["python"]["waiting"], 1, "the policy is at it");
    seat.answer(&[(7, Answer::Chosen(0)), (0, Answer::Chosen(1)), (0, Answer::Chosen(0))]);
    assert_eq!(asker.join().expect("answered"), "other");
    assert!(seat.take(Duration::ZERO).expect("there").is_empty());
    assert_eq!(status(&engine)["pools"][0]["python"]["waiting"], 0);
    assert_eq!(decisions(&engine, "chosen"), 1);
}

#[test]
fn with_nobody_there_nobody_waits() {
    let one = web("one");
    let engine = asking(&[one.address], 60_000);
    let mut client = Client::new(address(&engine));
    assert_eq!(client.ask("/").1, "one");
    let seat = engine.sit_down("app", true).expect("a pool with a policy");
    seat.leave();
    assert_eq!(client.ask("/").1, "one");
    assert!(seat.take(LONG).is_none(), "it is gone");
    assert_eq!(decisions(&engine, "late") + decisions(&engine, "unasked"), 0);
}

#[test]
fn who_was_replaced_has_nothing_more_to_say() {
    let (one, other) = (web("one"), web("other"));
    let engine = asking(&[one.address, other.address], 500);
    let old = engine.sit_down("app", true).expect("a pool with a policy");
    let mut client = Client::new(address(&engine));
    let asker = std::thread::spawn(move || client.ask("/").1);
    let asked = question(&old);
    assert_eq!(asked.candidates, [0, 1]);
    let new = engine.sit_down("app", false).expect("a pool with a policy");
    old.answer(&[(0, Answer::Chosen(1))]);
    old.set_scores(&[0, 1]);
    old.leave();
    assert!(old.take(LONG).is_none());
    assert!(new.take(Duration::ZERO).is_some(), "the new one still sits there");
    assert_eq!(status(&engine)["pools"][0]["python"]["scored"], false);
    assert!(["one", "other"].contains(&asker.join().expect("answered").as_str()));
    assert_eq!(decisions(&engine, "chosen"), 0);
}

#[test]
fn one_that_is_long_away_is_told_of_and_not_asked() {
    let one = web("one");
    let engine = asking(&[one.address], 20);
    let seat = engine.sit_down("app", true).expect("a pool with a policy");
    assert!(seat.take(Duration::ZERO).expect("there").is_empty());
    let mut client = Client::new(address(&engine));
    let what = event(&engine, "policy")["what"].clone();
    assert!(what.as_str().expect("text").contains("at one call for a second"), "{what}");
    assert_eq!(status(&engine)["pools"][0]["python"]["stuck"], true);
    assert_eq!(client.ask("/").1, "one");
    assert_eq!((decisions(&engine, "unasked"), decisions(&engine, "late")), (1, 0));
    assert!(seat.take(Duration::ZERO).expect("there").is_empty());
    assert_eq!(status(&engine)["pools"][0]["python"]["stuck"], false);
    let what = event(&engine, "policy")["what"].clone();
    assert!(what.as_str().expect("text").contains("answers again"), "{what}");
}

#[test]
fn scores_hold_for_two_seconds() {
    let (one, other) = (web("one"), web("other"));
    let engine = asking(&[one.address, other.address], 20);
    let seat = engine.sit_down("app", false).expect("a pool with a policy");
    seat.set_scores(&[1]);
    assert_eq!(status(&engine)["pools"][0]["python"]["scored"], false, "of another plan");
    seat.set_scores(&[0, 1]);
    let mut client = Client::new(address(&engine));
    assert!((0..6).all(|_| client.ask("/").1 == "other"));
    until("they lapse", || status(&engine)["pools"][0]["python"]["scored"] == false);
    let answers: Vec<_> = (0..6).map(|_| client.ask("/").1).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "one").count(), 3, "{answers:?}");
}

#[test]
fn a_pool_without_a_policy_has_no_desk() {
    let one = web("one");
    let engine = crate::kit::start(1, Protocol::Http, &[one.address]);
    let unknown = engine.sit_down("app", true).expect_err("there is none");
    assert_eq!(unknown.to_string(), "no pool `app` with a policy in Python");
    assert!(engine.sit_down("nowhere", true).is_err());
}
