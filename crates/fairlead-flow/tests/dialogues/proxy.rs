//! PROXY headers: awaited from trusted proxies, told to backends.

use fairlead_model::plan::{Network, ProxyVersion};
use fairlead_proto::proxy::{write_v2, Origin};

use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp, Setup};
use crate::wants::*;

const PROXY: &str = "10.9.9.9";

/// With headers from one proxy.
fn behind(setup: Setup) -> Setup {
    setup.listener(|listener| {
        let address = PROXY.parse().expect("address");
        listener.trusted_proxies = vec![Network { address, prefix: 32 }];
        listener.proxy_protocol = true;
    })
}

fn telling(setup: Setup) -> Setup {
    setup.pool(|pool| pool.proxy_protocol = Some(ProxyVersion::V1))
}

fn header() -> Vec<u8> {
    let mut header = Vec::new();
    let origin = Origin::Client {
        source: ([192, 0, 2, 7], 4711).into(),
        destination: ([198, 51, 100, 1], 443).into(),
    };
    write_v2(&mut header, &origin);
    header
}

fn from_proxy(setup: Setup) -> Dialogue {
    let mut dialogue = dialogue(setup);
    dialogue.connects(0, PROXY).wants_nothing();
    dialogue
}

#[test]
fn nothing_is_sought_before_it_is_known_who_comes() {
    let mut dialogue = from_proxy(behind(tcp()));
    let (one, other) = (&header()[..20], &header()[20..]);
    dialogue
        .client_sends(one)
        .wants_nothing()
        .client_sends([other, b"early"].concat())
        .wants([pause(CLIENT), connect(0)])
        .connected(L0)
        .wants([resume(CLIENT), write(L0, b"early")])
        .client_sends(b" and late")
        .wants([write(L0, b" and late")])
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn the_address_of_the_header_is_the_clients_from_then_on() {
    let get = b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    from_proxy(behind(http()))
        .client_sends([&header(), &get[..]].concat())
        .wants([connect(0)])
        .connected(L0)
        .wants([request(L0, "GET / HTTP/1.1").with("x-forwarded-for: 192.0.2.7\r\n")])
        .client_resets()
        .whatever()
        .ends();
}

#[test]
fn what_is_no_header_and_what_does_not_come_is_refused() {
    from_proxy(behind(http()))
        .client_sends(b"GET / HTTP/1.1\r\n")
        .wants([
            answer(CLIENT, 400)
                .with("x-fairlead-reason: bad_proxy_header\r\n")
                .body("it does not begin with a PROXY header\n"),
            finish(CLIENT),
        ])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
    from_proxy(behind(tcp())).client_sends(b"hello").wants([abort(CLIENT)]).ends();
    from_proxy(behind(http()))
        .after(ms(10_000))
        .wants([refusal(CLIENT, 408, "proxy_header_timeout"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_request_is_introduced_and_its_connection_is_not_kept() {
    dialogue(telling(http()))
        .client_connects()
        .wants_nothing()
        .client_sends(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .wants([connect(0)])
        .connected(L0)
        .wants([request(L0, "PROXY TCP4 192.0.2.1 0.0.0.0 4000 0\r\nGET / HTTP/1.1\r\n")])
        .sends(L0, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .wants([answer(CLIENT, 200), close(L0)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_check_says_that_it_is_our_own() {
    dialogue(telling(tcp()).backends(1).checked())
        .after(ms(1))
        .wants([connect(0)])
        .connected(L0)
        .wants([write(L0, b"PROXY UNKNOWN\r\n"), close(L0)])
        .ends();
}

#[test]
fn a_check_begins_to_say_so_when_a_reload_asks_for_it() {
    let mut told = dialogue(tcp().backends(1).checked());
    told.after(ms(1)).wants([connect(0)]).connected(L0).wants([close(L0)]);
    told.reloads(telling(tcp().backends(1).checked())).wants_nothing();
    told.after(ms(1)).wants([connect(0)]);
    told.connected(L1).wants([write(L1, b"PROXY UNKNOWN\r\n"), close(L1)]).ends();
}
