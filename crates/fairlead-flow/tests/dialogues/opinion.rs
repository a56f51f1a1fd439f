//! A second opinion about an error.

use fairlead_flow::IoFailure;
use fairlead_model::health::Health;
use fairlead_model::plan::{Millis, Policy};

use crate::keep::{GET, OK, POST};
use crate::openings::{known, sent, sent_twice};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, Setup};
use crate::wants::*;

const ERROR: &str = "HTTP/1.1 500 Internal Error\r\nContent-Length: 4\r\n\r\noops";

/// The first backend has answered with an error, and the second is asked for its opinion.
fn doubted(setup: Setup) -> Dialogue {
    let mut told = sent(setup, GET);
    told.sends(L0, ERROR).wants([pause(L0), connect(1)]);
    told.connected(L1).wants([request(L1, "GET /a")]);
    told
}

#[test]
fn an_error_that_others_do_not_make_is_not_shown() {
    let mut told = doubted(http().hedged());
    told.sends(L1, OK)
        .wants([abort(L0), answer(CLIENT, 200).body("hi")])
        .is(0, Health::Suspect)
        .failures(0, 1);
    let why = "traffic: wrong answer (status 500, where 10.0.0.1:80 answered 200), 1 in a row";
    assert_eq!(told.why(0), why);
    told.client_finishes().wants([close(CLIENT)]).active(0, 0).ends_with_kept(&[L1]);
}

#[test]
fn an_error_that_others_make_too_is_the_answer() {
    doubted(http().hedged())
        .sends(L1, ERROR)
        .wants([abort(L1), resume(L0), answer(CLIENT, 500).body("oops")])
        .nobody_is_blamed()
        .failures(0, 0)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_connection_that_was_closed_is_no_opinion() {
    let mut told = known(http().hedged().pool(|pool| pool.policy = Policy::RoundRobin), GET);
    let client = Who::Client(2);
    told.client_connects().wants_nothing().sends(client, GET).wants([request(L0, "GET /a")]);
    told.sends(L0, ERROR).wants([pause(L0), request(L1, "GET /a")]);
    told.finishes(L1).wants([abort(L1), connect(1)]);
    told.connected(L2).wants([request(L2, "GET /a")]).steps("second_opinions", "asked", 1);
    told.sends(L2, OK).wants([abort(L0), answer(client, 200).body("hi")]);
    told.is(0, Health::Suspect).is(1, Health::Healthy).finishes(client).wants([close(client)]);
    told.ends_with_kept(&[L2]);
}

#[test]
fn an_error_does_not_wait_for_long() {
    doubted(http().hedged())
        .after(ms(499))
        .wants_nothing()
        .after(ms(3))
        .wants([abort(L1), resume(L0), answer(CLIENT, 500).body("oops")])
        .client_finishes()
        .wants([close(CLIENT)])
        .active(1, 0)
        .ends_with_kept(&[L0]);
}

#[test]
fn an_error_is_the_answer_when_nobody_else_is_there() {
    sent(http().hedged(), GET)
        .sends(L0, ERROR)
        .wants([pause(L0), connect(1)])
        .refused(L1)
        .wants([resume(L0), answer(CLIENT, 500).body("oops")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn the_answer_to_a_post_is_the_answer() {
    sent(http().hedged(), POST)
        .sends(L0, ERROR)
        .wants([answer(CLIENT, 500).body("oops")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn an_error_to_a_put_is_put_to_another_too() {
    // No second copy beside the first: that one has ended.
    for method in ["PUT", "DELETE"] {
        let text = format!("{method} /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
        let mut told = sent(http().hedged(), &text);
        told.sends(L0, ERROR).wants([pause(L0), connect(1)]);
        told.connected(L1).wants([request(L1, &format!("{method} /a")).body("body")]);
        told.sends(L1, OK).wants([abort(L0), answer(CLIENT, 200).body("hi")]);
        told.is(0, Health::Suspect).client_finishes().wants([close(CLIENT)]);
        told.ends_with_kept(&[L1]);
    }
}

#[test]
fn opinions_that_are_better_do_not_use_up_the_right_to_more() {
    let mut told = dialogue(http().hedged().pool(|pool| {
        // The only one of its group: what is suspect there goes on being asked first.
        pool.backends[1].group = 1;
        pool.check.fall = 1_000;
        pool.outlier.max_ejected = 0;
    }));
    told.client_connects().wants_nothing();
    for round in 0..200 {
        // L1 is kept; each error costs its connection.
        let first = Who::Link(if round == 0 { 0 } else { round + 1 });
        told.client_sends(GET).wants([connect(0)]).connected(first).whatever();
        told.sends(first, ERROR).whatever();
        if round == 0 {
            told.connected(L1).whatever();
        }
        told.sends(L1, OK).wants([abort(first), answer(CLIENT, 200).body("hi")]);
    }
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

#[test]
fn a_hedge_that_ends_in_an_error_is_better_than_silence() {
    sent_twice(http().hedged())
        .sends(L1, ERROR)
        .wants([pause(L1)])
        .after(ms(502))
        .wants([abort(L0), resume(L1), answer(CLIENT, 500).body("oops")])
        .active(0, 0)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L1]);
}

#[test]
fn seconds_that_are_on_their_way_are_the_second_opinion() {
    let mut told = sent(http().backends(5).hedged().pool(|pool| pool.retry.attempts = 9), GET);
    // Late: a second is sought, and when that is late, a third beside it.
    told.after(ms(202)).wants([connect(1)]);
    told.after(ms(52)).wants([connect(2)]);
    told.sends(L0, ERROR).wants([pause(L0)]).active(1, 1).active(2, 1);
    told.connected(L2).wants([request(L2, "GET /a")]).active(1, 0);
    told.sends(L2, OK).wants([abort(L0), answer(CLIENT, 200).body("hi")]);
    told.active(0, 0).active(1, 0).active(2, 0);
    told.client_finishes().wants([close(CLIENT)]).connected(L1).wants_nothing();
    told.ends_with_kept(&[L1, L2]);
}

#[test]
fn an_error_that_waited_is_not_cut_off_by_the_clock_of_its_wait() {
    let head = "HTTP/1.1 500 Internal Error\r\nContent-Length: 4\r\n\r\noo";
    let mut told = sent(http().hedged().pool(|pool| pool.timeouts.connect = Millis(100)), GET);
    told.sends(L0, head).wants([pause(L0), connect(1)]);
    // The second opinion can't be had; the error goes on, and its rest has the time of any answer.
    told.after(ms(110)).wants([abort(L1), resume(L0), answer(CLIENT, 500).body("oo")]);
    told.after(ms(2_000)).wants_nothing();
    told.sends(L0, "ps").wants([write(CLIENT, "ps")]).active(0, 0);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn a_client_that_takes_an_interim_answer_does_not_end_the_wait() {
    let mut told = sent(http().hedged(), GET);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    told.fills(CLIENT).sends(L0, interim).wants([write(CLIENT, interim)]);
    told.sends(L0, ERROR).wants([pause(L0), connect(1)]);
    told.drains(CLIENT).wants_nothing();
    told.connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([abort(L0), answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

#[test]
fn where_nobody_could_be_asked_the_right_to_ask_is_not_lost() {
    let mut told = dialogue(http().hedged());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever();
    for nth in 1..=10 {
        told.sends(L0, ERROR).wants([pause(L0), connect(1)]);
        told.connect_fails(Who::Link(nth), IoFailure::Exhausted);
        told.wants([resume(L0), answer(CLIENT, 500).body("oops")]);
        told.client_sends(GET).wants([request(L0, "GET /a")]);
    }
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    // Five errors at once: each of them is put to the other one.
    for nth in 1..=5 {
        let (client, link) = (Who::Client(nth), Who::Link(8 + nth * 2));
        told.client_connects().wants_nothing().sends(client, GET).whatever();
        let link = if nth == 1 { L0 } else { link };
        if nth > 1 {
            told.connected(link).whatever();
        }
        told.sends(link, ERROR).wants([pause(link), connect(1)]);
    }
    told.abandons().whatever();
}

#[test]
fn one_that_answered_wrongly_is_tried_each_second_and_back_after_five_good_answers() {
    let mut told = sent(http().hedged(), GET);
    told.sends(L0, ERROR).wants([pause(L0), connect(1)]).connected(L1).whatever();
    told.sends(L1, OK).wants([abort(L0), answer(CLIENT, 200).body("hi")]).is(0, Health::Suspect);
    told.after(ms(900)).whatever();
    told.client_sends(GET).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    // The second second's trial is wrong again, and the other one's answer is what counts.
    told.after(ms(101)).whatever();
    told.client_sends(GET).wants([connect(0)]).connected(L2).whatever();
    told.sends(L2, ERROR).wants([pause(L2), request(L1, "GET /a")]);
    told.sends(L1, OK).wants([abort(L2), answer(CLIENT, 200).body("hi")]);
    told.after(ms(1_001)).whatever();
    for round in 0..5 {
        told.is(0, Health::Suspect).client_sends(GET);
        if round == 0 {
            told.wants([connect(0)]).connected(L3).whatever();
        } else {
            told.wants([request(L3, "GET /a")]);
        }
        told.sends(L3, OK).wants([answer(CLIENT, 200).body("hi")]);
    }
    told.is(0, Health::Healthy).client_finishes().wants([close(CLIENT)]);
    told.ends_with_kept(&[L1, L3]);
}

#[test]
fn an_error_that_others_make_too_does_not_put_off_the_next_trial() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let mut told = sent(http().hedged().pool(|pool| pool.check.fall = 1), GET);
    told.sends(L0, cut).whatever().finishes(L0).whatever().is(0, Health::Down);
    // Nobody is spared an answer that breaks off, so trials become rarer: 1, 2, 4, 8 s.
    let mut link = 0;
    for round in 0..4 {
        let client = Who::Client(round + 1);
        told.after(ms(1_010 << round)).whatever();
        told.client_connects().whatever().sends(client, GET).wants([connect(0)]);
        link += 1;
        let trial = Who::Link(link);
        told.connected(trial).wants([request(trial, "GET /a")]);
        if round < 3 {
            told.sends(trial, cut).whatever().finishes(trial).whatever();
        } else {
            told.sends(trial, ERROR).wants([pause(trial), connect(1)]);
            told.connected(Who::Link(link + 1)).whatever();
            told.sends(Who::Link(link + 1), ERROR).whatever();
        }
    }
    // The next one would be due after 8 s again: a quarter of that.
    told.after(ms(2_010)).whatever();
    told.client_connects()
        .whatever()
        .sends(Who::Client(5), GET)
        .wants([request(Who::Link(4), "GET /a")]);
    told.abandons().whatever();
}
