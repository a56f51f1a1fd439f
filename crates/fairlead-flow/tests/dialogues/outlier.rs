//! Who answers worse than the others is taken out, also where nothing may be sent twice.

use fairlead_model::health::Health;
use fairlead_model::plan::{Millis, Policy};

use crate::keep::{OK, POST};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms};
use crate::wants::Who;

const ERROR: &str = "HTTP/1.1 500 Internal Error\r\nContent-Length: 4\r\n\r\noops";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi";

/// One request after the other, in turn to two backends, each on a fresh connection; `answer`
/// says what the one that is asked does. Which of them was the second's?
fn in_turn(
    requests: usize,
    mut answer: impl FnMut(&mut Dialogue, Who, bool),
) -> (Dialogue, Vec<bool>) {
    let mut told = dialogue(http().pool(|pool| {
        pool.policy = Policy::RoundRobin;
        pool.timeouts.keepalive = Millis(0);
    }));
    let mut asked = Vec::new();
    for turn in 0..requests {
        let (client, link) = (Who::Client(turn), Who::Link(turn));
        told.client_connects().wants_nothing().sends(client, POST).whatever();
        let second = told.state(1).active() > 0;
        assert_eq!(told.state(0).active() + told.state(1).active(), 1, "one is asked");
        told.connected(link).whatever();
        answer(&mut told, link, second);
        told.after(ms(10)).whatever().resets(client).whatever();
        asked.push(second);
    }
    (told, asked)
}

/// How many the second got before it was found out, and what share of them afterwards.
fn learnt(asked: &[bool]) -> (usize, f64) {
    let first = asked.iter().take(40).filter(|second| **second).count();
    let later = asked[40..].iter().filter(|second| **second).count();
    (first, later as f64 / (asked.len() - 40) as f64)
}

#[test]
fn posts_answered_by_errors_are_learnt_within_ten() {
    let (mut told, asked) = in_turn(200, |told, link, second| {
        told.sends(link, if second { ERROR } else { OK }).whatever();
    });
    let (first, later) = learnt(&asked);
    assert!(first <= 10 && later < 0.1, "{first}, {later}");
    told.is(1, Health::Down);
    assert!(told.why(1).contains("a server error"), "{}", told.why(1));
}

#[test]
fn answers_that_break_off_now_and_then_are_learnt_within_ten() {
    let mut nth = 0;
    let (_, asked) = in_turn(400, |told, link, second| {
        nth += usize::from(second);
        // Never three in a row.
        if second && nth % 3 != 0 {
            told.sends(link, HALF).whatever().finishes(link).whatever();
        } else {
            told.sends(link, OK).whatever();
        }
    });
    let (first, later) = learnt(&asked);
    assert!(first <= 10 && later < 0.1, "{first}, {later}");
}

#[test]
fn slow_answers_are_learnt_where_nothing_may_be_sent_twice() {
    let mut nth = 0;
    let (mut told, asked) = in_turn(220, |told, link, second| {
        // At first all is well, so that it is known what is usual.
        nth += 1;
        told.after(ms(if second && nth > 20 { 700 } else { 5 })).whatever();
        told.sends(link, OK).whatever();
    });
    let (first, later) = learnt(&asked[20..]);
    assert!(first <= 10 && later < 0.1, "{first}, {later}");
    told.is(1, Health::Down);
    assert!(told.why(1).contains("were slow"), "{}", told.why(1));
}

#[test]
fn who_is_only_ejected_is_used_when_there_is_nobody_else() {
    let (mut told, asked) = in_turn(60, |told, link, second| {
        told.sends(link, if second { ERROR } else { OK }).whatever();
    });
    told.is(1, Health::Down);
    let (client, links) = (Who::Client(asked.len()), asked.len());
    told.client_connects().wants_nothing().sends(client, POST).whatever();
    told.refused(Who::Link(links)).whatever();
    assert_eq!(told.state(1).active(), 1, "the ejected one is asked");
    told.resets(client).whatever();
}
