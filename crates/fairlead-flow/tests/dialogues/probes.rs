//! Active checks.

use fairlead_model::health::Health;
use fairlead_model::plan::{CheckKind, Millis};

use crate::keep::GET;
use crate::script::{dialogue, Dialogue};
use crate::setup::{backend, http, ms, pool, Setup};
use crate::wants::*;

fn probed(path: &str) -> Setup {
    let path = path.to_owned();
    http().backends(1).pool(|pool| {
        pool.check.kind = CheckKind::Http {
            method: "GET".into(),
            path,
            host: None,
            expect_status: vec![(200, 299), (404, 404)],
        };
    })
}

#[test]
fn a_backend_goes_down_and_comes_back_by_so_many_checks() {
    let mut told = dialogue(http().backends(1).checked());
    told.after(ms(1)).wants([connect(0)]);
    assert!(!told.first_checks_done());
    told.connected(L0).wants([close(L0)]).is(0, Health::Healthy);
    assert!(told.first_checks_done());
    // The ordinary pace, spread by a tenth.
    told.after(ms(1_799)).wants_nothing().after(ms(402)).wants([connect(0)]);
    told.refused(L1).wants_nothing().is(0, Health::Suspect);
    // In doubt, the fast one.
    told.after(ms(551)).wants([connect(0)]).refused(L2).wants_nothing().is(0, Health::Suspect);
    told.after(ms(551)).wants([connect(0)]).refused(L3).wants_nothing().is(0, Health::Down);
    assert_eq!(told.why(0), "check: connect refused, 3 in a row");
    told.after(ms(551)).wants([connect(0)]);
    told.connected(Who::Link(4)).wants([close(Who::Link(4))]).is(0, Health::Down);
    told.after(ms(551)).wants([connect(0)]);
    told.connected(Who::Link(5)).wants([close(Who::Link(5))]).is(0, Health::Healthy);
    assert_eq!(told.why(0), "check: connected, 2 in a row");
    told.ends();
}

#[test]
fn a_check_that_gets_no_answer_ends_in_time() {
    let mut told = dialogue(http().backends(1).checked());
    told.after(ms(1)).wants([connect(0)]).after(ms(998)).wants_nothing();
    // It has waited long enough: the next one follows at once.
    told.after(ms(3)).wants([abort(L0), connect(0)]).is(0, Health::Suspect);
    assert_eq!(told.why(0), "check: no answer to the connect (within 1 s), 1 in a row");
    let mut told = dialogue(probed("/health"));
    told.after(ms(1)).wants([connect(0)]).connected(L0).whatever();
    told.after(ms(1_001)).wants([abort(L0), connect(0)]).is(0, Health::Suspect);
    assert_eq!(told.why(0), "check: no answer (within 1 s), 1 in a row");
}

#[test]
fn a_host_that_is_silent_is_found_well_soon_after_it_speaks_again() {
    // The worst moment to heal is right after a probe has gone out in vain.
    let mut told = dialogue(http().backends(1).checked());
    while told.state(0).health() != Health::Down {
        told.after(ms(10)).whatever();
    }
    let before = told.connecting(0);
    while told.connecting(0).is_empty() || told.connecting(0) == before {
        told.after(ms(10)).whatever();
    }
    let in_vain = told.connecting(0);
    let mut waited = 0;
    while told.state(0).health() != Health::Healthy {
        told.after(ms(10)).whatever();
        waited += 10;
        assert!(waited <= 1_350, "it has been well for {waited} ms");
        for probe in told.connecting(0).into_iter().filter(|probe| !in_vain.contains(probe)) {
            told.connected(probe).whatever();
        }
    }
}

#[test]
fn an_http_check_is_judged_by_its_status() {
    let cases = [(200, true), (204, true), (404, true), (301, false), (500, false)];
    for (status, good) in cases {
        let mut told = dialogue(probed("/health?x=1"));
        told.after(ms(1))
            .wants([connect(0)])
            .connected(L0)
            .wants([request(L0, "GET /health?x=1 HTTP/1.1")
                .with("host: 10.0.0.0:80\r\n")
                .with("connection: close\r\n")
                .with("user-agent: fairlead-check\r\n")])
            .sends(L0, format!("HTTP/1.1 {status} Whatever\r\nContent-"));
        // Not before its head is whole.
        told.wants_nothing().sends(L0, "Length: 0\r\n\r\n");
        if good {
            told.wants([close(L0)]).is(0, Health::Healthy);
        } else {
            told.wants([abort(L0)]).is(0, Health::Suspect);
            let got =
                format!("check: wrong status (got {status}, expected 200-299, 404), 1 in a row");
            assert_eq!(told.why(0), got);
        }
    }
}

#[test]
fn what_is_not_http_fails_an_http_check() {
    for bad in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n"] {
        let mut told = dialogue(probed("/"));
        told.after(ms(1)).wants([connect(0)]).connected(L0).whatever();
        told.sends(L0, bad).wants([abort(L0)]).is(0, Health::Suspect);
    }
    let mut told = dialogue(probed("/"));
    told.after(ms(1)).wants([connect(0)]).connected(L0).whatever();
    told.finishes(L0).wants([abort(L0)]).is(0, Health::Suspect);
    assert_eq!(told.why(0), "check: closed before its answer, 1 in a row");
}

#[test]
fn an_interim_answer_is_not_the_answer_to_a_check() {
    let mut told = dialogue(probed("/"));
    told.after(ms(1)).wants([connect(0)]).connected(L0).whatever();
    told.sends(L0, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    told.wants([close(L0)]).is(0, Health::Healthy);
}

#[test]
fn equal_probes_are_made_once_and_told_to_every_pool() {
    let setup = http().backends(1).checked().plan(|plan| {
        let mut twin = pool("twin", 0..1);
        twin.check.kind = CheckKind::Tcp;
        // Its own verdict: one failure is enough here.
        twin.check.fall = 1;
        plan.pools.push(twin);
    });
    let mut told = dialogue(setup);
    told.after(ms(1)).wants([connect(0)]).refused(L0).wants_nothing();
    told.is(0, Health::Suspect);
    assert_eq!(told.health_in(1, 0), Health::Down);
}

#[test]
fn probes_from_another_address_are_made_for_themselves() {
    let setup = http().backends(1).checked().plan(|plan| {
        let mut twin = pool("twin", 0..1);
        twin.check = plan.pools[0].check.clone();
        twin.source = Some([127, 0, 0, 9].into());
        plan.pools.push(twin);
    });
    let mut told = dialogue(setup);
    told.after(ms(1))
        .wants([connect(0), connect(0)])
        .refused(L0)
        .connected(Who::Link(1))
        .whatever();
    let mut seen = [told.health_in(0, 0), told.health_in(1, 0)];
    seen.sort_by_key(|health| *health == Health::Healthy);
    assert_eq!(seen, [Health::Suspect, Health::Healthy], "what one has seen is not the other's");
}

#[test]
fn a_doubt_of_traffic_is_settled_by_probes_at_once() {
    let mut told = dialogue(http().backends(1).checked());
    told.after(ms(1)).wants([connect(0)]).connected(L0).wants([close(L0)]);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L1).whatever().client_resets().wants([abort(L1)]).is(0, Health::Healthy);
    // A refused connect: suspect, and probed within a tick instead of at the next interval.
    told.client_connects().wants_nothing().sends(OTHER, GET).wants([connect(0)]);
    told.refused(L2).whatever().is(0, Health::Suspect).after(ms(2)).wants([connect(0)]);
    told.connected(L3).wants([close(L3)]).is(0, Health::Healthy);
    // The doubt is settled: no more than the ordinary pace.
    told.after(ms(900)).wants_nothing().finishes(OTHER).wants([close(OTHER)]).ends();
}

#[test]
fn a_doubt_ends_where_its_backend_is_no_more() {
    let mut told = dialogue(http().backends(1).checked());
    told.after(ms(1)).wants([connect(0)]).connected(L0).wants([close(L0)]);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.refused(L1).whatever().is(0, Health::Suspect).after(ms(2)).wants([connect(0)]);
    // Its name stands for another address now: what the old one says is nothing to it.
    let moved = http().backends(1).checked();
    let moved = moved.pool(|pool| pool.backends[0].endpoints = backend(9).endpoints);
    told.reloads(moved).wants([abort(L2)]).after(ms(2)).wants([connect(9)]);
    told.connected(L3).wants([close(L3)]).is(0, Health::Healthy);
    told.after(ms(900)).wants_nothing().client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_connect_to_where_it_was_says_nothing_about_who_has_moved() {
    for refused in [true, false] {
        let mut told = dialogue(http().backends(2).checked());
        told.after(ms(1)).whatever();
        for probe in told.connecting(0).into_iter().chain(told.connecting(1)) {
            told.connected(probe).whatever();
        }
        told.is(0, Health::Healthy).client_connects().wants_nothing();
        told.client_sends(GET).wants([connect(0)]);
        let late = told.connecting(0).pop().expect("it connects");
        // It is moved while the client waits for a connect to where it was.
        let moved = http().backends(2).checked();
        let moved = moved.pool(|pool| pool.backends[0].endpoints = backend(9).endpoints);
        told.reloads(moved).after(ms(2)).whatever();
        for probe in told.connecting(9) {
            told.connected(probe).whatever();
        }
        if refused {
            told.refused(late).whatever();
        } else {
            told.after(ms(200)).whatever();
        }
        told.is(0, Health::Healthy).after(ms(400)).whatever();
        assert!(told.connecting(0).len() <= usize::from(!refused), "nobody asks there any more");
        assert_eq!(told.is(0, Health::Healthy).connecting(9).len(), 0);
    }
}

/// It stays at one of two places: what a search of before doubts is asked where it is now.
#[test]
fn a_doubt_of_before_is_not_settled_at_a_place_that_is_no_more() {
    let at = |one, other| {
        http().backends(1).checked().pool(|pool| {
            pool.backends[0].endpoints = backend(one).endpoints;
            pool.backends[0].endpoints.extend(backend(other).endpoints);
        })
    };
    let mut told = dialogue(at(0, 9));
    told.after(ms(1)).wants([connect(0)]).connected(L0).wants([close(L0)]);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.reloads(at(9, 8)).whatever().after(ms(1)).whatever();
    told.refused(L1).wants([connect(8)]);
    let other = told.connecting(8).pop().expect("it connects");
    told.refused(other).whatever().is(0, Health::Suspect).after(ms(200)).whatever();
    assert_eq!(told.connecting(0), [], "nobody asks there any more");
}

#[test]
fn checks_need_no_traffic_and_never_stop() {
    let mut told = dialogue(http().backends(1).checked().pool(|pool| {
        pool.check.interval = Millis(1_000);
    }));
    let mut probes = 0;
    for _ in 0..600 {
        told.after(ms(100)).whatever();
        for probe in told.connecting(0) {
            told.refused(probe).whatever();
            probes += 1;
        }
    }
    // A minute of failures at the fast pace; then the ordinary one.
    assert!((100..=140).contains(&probes), "{probes}");
    probes = 0;
    for _ in 0..600 {
        told.after(ms(100)).whatever();
        for probe in told.connecting(0) {
            told.refused(probe).whatever();
            probes += 1;
        }
    }
    assert!((50..=70).contains(&probes), "{probes}");
    told.is(0, Health::Down);
}

/// Three checks of each of so many backends pass within 10 ms.
fn checks_pass(told: &mut Dialogue, backends: usize) {
    for _ in 0..500 {
        told.after(ms(10)).whatever();
        for probe in (0..backends).flat_map(|nth| told.connecting(nth)).collect::<Vec<_>>() {
            told.connected(probe).whatever();
        }
    }
}

#[test]
fn a_doubt_is_settled_in_the_time_that_checks_take_there() {
    let mut told = dialogue(http().checked());
    checks_pass(&mut told, 2);
    told.is(0, Health::Healthy).is(1, Health::Healthy);
    told.client_connects().whatever().client_sends(GET).whatever();
    let refused = told.connecting(0);
    told.refused(refused[0]).whatever().is(0, Health::Suspect);
    let mut waited = 0;
    while told.state(0).health() != Health::Down {
        told.after(ms(10)).whatever();
        waited += 10;
        assert!(waited <= 700, "the time-out of 1 s was waited for");
    }
    assert!(waited >= 400, "{waited}");
    let why = "check: no answer to the connect (3 times within 200 ms), 3 in a row";
    assert_eq!(told.why(0), why);
}

#[test]
fn with_nobody_else_there_a_doubt_has_the_checks_time_out() {
    let mut told = dialogue(http().backends(1).checked());
    checks_pass(&mut told, 1);
    told.client_connects().whatever().client_sends(GET).whatever();
    let refused = told.connecting(0);
    told.refused(refused[0]).whatever().is(0, Health::Suspect);
    told.after(ms(1_900)).whatever().is(0, Health::Suspect);
}
