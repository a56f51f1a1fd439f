//! Which pool gets a request.

use fairlead_model::plan::{HostMatch, PathMatch, RoutePlan};

use crate::keep::OK;
use crate::script::dialogue;
use crate::setup::{http, pool, Setup};
use crate::wants::*;

fn two_pools() -> Setup {
    http().plan(|plan| {
        plan.pools.push(pool("api", 5..6));
        plan.listeners[0].routes = vec![RoutePlan {
            host: Some(HostMatch::Below("example.com".into())),
            path: Some(PathMatch::Prefix("/api/".into())),
            methods: vec!["GET".into()],
            headers: vec![("x-version".into(), Some("2".into()))],
            pool: 1,
        }];
    })
}

#[test]
fn the_first_route_whose_conditions_all_hold_wins() {
    let taken = "GET /api/x HTTP/1.1\r\nHost: WWW.Example.com:8080\r\nX-Version: 2\r\n\r\n";
    dialogue(two_pools())
        .client_connects()
        .wants_nothing()
        .client_sends(taken)
        .wants([connect(5)])
        .client_resets()
        .wants([abort(L0)])
        .ends();
    for other in [
        taken.replace("/api/", "/app/"),
        taken.replace("WWW.", ""),
        taken.replace("GET", "HEAD"),
        taken.replace("X-Version: 2", "X-Version: 3"),
    ] {
        dialogue(two_pools())
            .client_connects()
            .wants_nothing()
            .client_sends(other)
            .wants([connect(0)])
            .client_resets()
            .wants([abort(L0)])
            .ends();
    }
}

#[test]
fn what_no_route_takes_is_not_found_and_the_connection_goes_on() {
    let setup = two_pools().listener(|listener| listener.pool = None);
    let taken = "GET /api/x HTTP/1.1\r\nHost: www.example.com\r\nX-Version: 2\r\n\r\n";
    dialogue(setup)
        .client_connects()
        .wants_nothing()
        .client_sends("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .wants([refusal(CLIENT, 404, "no_route").without("connection: close")])
        .client_sends(taken)
        .wants([connect(5)])
        .connected(L0)
        .whatever()
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        // With a body, what would come next can't be told from it.
        .client_sends("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        .wants([refusal(CLIENT, 404, "no_route").with("connection: close\r\n"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}
