use super::*;
use crate::http1::{Limits, Method, Parsed, Progress};

const LIMITS: Limits = Limits { head: 8192, headers: 64 };

const HOW: ForwardRequest<'static> = ForwardRequest {
    client: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
    scheme: Scheme::Http,
    trusted: false,
    request_id: None,
    default_host: "backend:8000",
    upgrade: true,
    close: false,
    via: None,
};

/// What is added to every request in these tests.
const ADDED: &str =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n";

fn request(text: &str, how: &ForwardRequest<'_>) -> String {
    let mut head = RequestHead::default();
    let parsed = head.parse(text.as_bytes(), &LIMITS, &mut Progress::default());
    assert_eq!(parsed, Parsed::Complete, "{text}");
    let mut out = Vec::new();
    write_request(&mut out, text.as_bytes(), &head, how);
    let mut again = RequestHead::default();
    let parsed = again.parse(&out, &LIMITS, &mut Progress::default());
    assert_eq!(parsed, Parsed::Complete, "what is written is what is read");
    assert_eq!((again.framing(), again.method()), (head.framing(), head.method()));
    assert_eq!(
        (again.path(&out), again.query(&out)),
        (head.path(text.as_bytes()), head.query(text.as_bytes()))
    );
    String::from_utf8(out).expect("text")
}

/// A GET with these lines, written anew, without its first line, its Host and its end.
fn get(lines: &str, how: &ForwardRequest<'_>) -> String {
    let written = request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"), how);
    let lines = written.strip_prefix("GET / HTTP/1.1\r\nHost: a\r\n").expect("the start is kept");
    lines.strip_suffix("\r\n").expect("an empty line").to_owned()
}

fn response(text: &str, method: Method, how: ForwardResponse<'_>) -> String {
    let mut head = ResponseHead::default();
    let parsed = head.parse(text.as_bytes(), method, &LIMITS, &mut Progress::default());
    assert_eq!(parsed, Parsed::Complete, "{text}");
    let mut out = Vec::new();
    write_response(&mut out, text.as_bytes(), &head, &how);
    String::from_utf8(out).expect("text")
}

const AS_IS: ForwardResponse<'static> = ForwardResponse {
    client_version: Version::Http11,
    close: false,
    delivery: Delivery::AsIs,
    upgrade: false,
    via: None,
    date: "",
};

#[test]
fn an_ordinary_request_goes_on_with_what_we_add() {
    let lines = "User-Agent: x\r\nAccept:  */*\t\r\nCookie: a=b\r\n";
    assert_eq!(get(lines, &HOW), format!("{lines}{ADDED}"));
}

#[test]
fn the_first_line_is_written_in_our_version_and_origin_form() {
    for (line, written) in [
        ("GET /a?b HTTP/1.0", "GET /a?b HTTP/1.1"),
        ("GET /a HTTP/1.7", "GET /a HTTP/1.1"),
        ("BREW http://b:1/c?d HTTP/1.1", "BREW /c?d HTTP/1.1"),
        ("GET HTTP://b HTTP/1.1", "GET / HTTP/1.1"),
        ("GET http://b?c HTTP/1.1", "GET /?c HTTP/1.1"),
        ("OPTIONS http://b HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
    ] {
        let text = request(&format!("{line}\r\nHost: a\r\n\r\n"), &HOW);
        assert_eq!(text.lines().next(), Some(written), "{line}");
    }
}

#[test]
fn empty_lines_before_a_request_do_not_go_on() {
    assert!(request("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &HOW).starts_with("GET / "));
}

#[test]
fn the_host_of_an_absolute_target_goes_on_in_place_of_the_other() {
    let text = request("GET http://one:1/ HTTP/1.1\r\nHost: two\r\nA: b\r\n\r\n", &HOW);
    assert!(text.starts_with("GET / HTTP/1.1\r\nA: b\r\nHost: one:1\r\n"), "{text}");
    assert!(text.contains("X-Forwarded-Host: one:1\r\n") && !text.contains("two"), "{text}");
}

#[test]
fn an_old_request_without_host_gets_the_default_and_no_forwarded_host() {
    let text = request("GET / HTTP/1.0\r\nA: b\r\n\r\n", &HOW);
    assert!(text.starts_with("GET / HTTP/1.1\r\nA: b\r\nHost: backend:8000\r\n"), "{text}");
    assert!(!text.contains("X-Forwarded-Host"), "{text}");
}

#[test]
fn what_speaks_about_this_connection_ends_here() {
    for lines in [
        "Connection: keep-alive\r\n",
        "connection: close\r\nKeep-Alive: timeout=5\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "TE: deflate\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\nConnection: Upgrade, HTTP2-Settings\r\n",
        "Upgrade: websocket\r\n",
        "Proxy-Authorization: Basic eA==\r\n",
        "Proxy: http://evil\r\n",
        "Connection: x-one\r\nX-One: 1\r\nx-ONE: 2\r\n",
        "X-One: 1\r\nConnection: close, X-One, , \"x\"\r\n",
        "Content_Length: 7\r\nTransfer_Encoding: chunked\r\n",
    ] {
        assert_eq!(get(lines, &HOW), ADDED, "{lines}");
    }
}

#[test]
fn a_connection_can_not_take_away_what_is_for_everybody() {
    let lines = "Content-Type: a/b\r\nContent-Length: 2\r\nCache-Control: no-store\r\n";
    let nominating = format!(
        "Connection: host, content-length, Content-Type, cache-control, \
                              x-forwarded-for, x-forwarded-host\r\n{lines}"
    );
    assert_eq!(get(&nominating, &HOW), format!("{lines}{ADDED}"));
}

#[test]
fn from_a_stranger_no_forwarding_header_is_believed() {
    let lines =
        "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                 X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /p\r\nForwarded: for=1.1.1.1\r\n\
                 X-Real-IP: 1.1.1.1\r\nX-Request-Id: theirs\r\nx_forwarded_for: 1.1.1.1\r\n\
                 X-Forwarded_For: 1.1.1.1\r\n";
    assert_eq!(get(lines, &HOW), ADDED);
    let how = ForwardRequest { request_id: Some(b"ours"), ..HOW };
    assert_eq!(get(lines, &how), format!("{ADDED}X-Request-Id: ours\r\n"));
}

#[test]
fn from_a_trusted_proxy_forwarding_headers_are_kept_and_completed() {
    let how = ForwardRequest { trusted: true, request_id: Some(b"ours"), ..HOW };
    let lines = "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-For: 3.3.3.3\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Host: first\r\nX-Forwarded-Host: last\r\n\
                 X-Forwarded-Port: 1\r\nForwarded: for=1.1.1.1\r\nX-Request-Id: theirs\r\n";
    assert_eq!(
        get(lines, &how),
        "X-Forwarded-Port: 1\r\nForwarded: for=1.1.1.1\r\n\
         X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: last\r\nX-Request-Id: theirs\r\n"
    );
    assert_eq!(get("X-Forwarded-Proto:\r\n", &how), format!("{ADDED}X-Request-Id: ours\r\n"));
    // An underscore is no way around it.
    assert_eq!(
        get("x_forwarded_for: 1.1.1.1\r\n", &ForwardRequest { trusted: true, ..HOW }),
        ADDED
    );
}

#[test]
fn a_client_on_a_unix_socket_has_no_address() {
    let how = ForwardRequest { client: None, scheme: Scheme::Https, ..HOW };
    assert_eq!(get("", &how), "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n");
    let trusted = ForwardRequest { trusted: true, ..how };
    assert!(
        get("X-Forwarded-For: 1.1.1.1\r\n", &trusted).starts_with("X-Forwarded-For: 1.1.1.1\r\n")
    );
}

#[test]
fn framing_is_said_again_in_plain_form() {
    let chunked = "Transfer-Encoding:  Chunked\t\r\nTrailer: A\r\n";
    assert_eq!(get(chunked, &HOW), format!("Trailer: A\r\nTransfer-Encoding: chunked\r\n{ADDED}"));
    assert_eq!(get("Content-Length: 007\r\n", &HOW), format!("Content-Length: 7\r\n{ADDED}"));
    assert_eq!(get("content-length: 7\r\n", &HOW), format!("content-length: 7\r\n{ADDED}"));
}

#[test]
fn options_for_the_backend_are_named_together() {
    let asks =
        "Connection: Upgrade, TE\r\nUpgrade: h2c, WebSocket\r\nTE: trailers;q=1, trailers\r\n";
    let upgrade = "Upgrade: websocket\r\n";
    let te = "TE: trailers\r\n";
    assert_eq!(get(asks, &HOW), format!("{ADDED}Connection: Upgrade, TE\r\n{upgrade}{te}"));
    let close = ForwardRequest { close: true, upgrade: false, ..HOW };
    assert_eq!(get(asks, &close), format!("{ADDED}Connection: close, TE\r\n{te}"));
    assert_eq!(get("", &close), format!("{ADDED}Connection: close\r\n"));
}

#[test]
fn websocket_headers_go_on_with_the_switch() {
    let lines = "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n";
    let asks = format!("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n{lines}");
    let switch = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(get(&asks, &HOW), format!("{lines}{ADDED}{switch}"));
}

#[test]
fn an_expectation_goes_on_unless_an_old_client_has_it() {
    let expect = "Expect: 100-continue\r\n";
    assert_eq!(get(expect, &HOW), format!("{expect}{ADDED}"));
    let old =
        request(&format!("POST / HTTP/1.0\r\nHost: a\r\n{expect}Content-Length: 1\r\n\r\n"), &HOW);
    assert!(!old.contains("Expect"), "{old}");
}

#[test]
fn max_forwards_counts_down() {
    for (before, after) in [("5", "4"), ("1", "0"), ("0", "0"), ("007", "6")] {
        let text = format!("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {before}\r\n\r\n");
        assert!(request(&text, &HOW).contains(&format!("\r\nMax-Forwards: {after}\r\n")));
    }
    assert_eq!(get("Max-Forwards: 5\r\n", &HOW), format!("Max-Forwards: 5\r\n{ADDED}"));
}

#[test]
fn our_name_comes_last_in_via_with_the_version_that_came_in() {
    let how = ForwardRequest { via: Some("fairlead"), ..HOW };
    let lines = "Via: 1.0 them\r\n";
    assert_eq!(get(lines, &how), format!("{lines}{ADDED}Via: 1.1 fairlead\r\n"));
    let old = request("GET / HTTP/1.0\r\n\r\n", &how);
    assert!(old.contains("Via: 1.0 fairlead\r\n"), "{old}");
}

#[test]
fn an_ordinary_response_goes_on_as_it_is() {
    let text = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\n";
    assert_eq!(response(text, Method::Get, AS_IS), text);
}

#[test]
fn status_lines_are_written_in_our_version() {
    for (line, written) in [
        ("HTTP/1.0 404 Not Here", "HTTP/1.1 404 Not Here\r\n"),
        ("HTTP/1.1 200", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.5 599 ", "HTTP/1.1 599 \r\n"),
    ] {
        let text = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        assert!(response(&text, Method::Get, AS_IS).starts_with(written), "{line}");
    }
}

#[test]
fn what_a_response_says_about_its_connection_ends_here() {
    let text = "HTTP/1.1 200 OK\r\nConnection: close, X-One\r\nX-One: 1\r\nKeep-Alive: timeout=1\r\n\
                Upgrade: h2c\r\nProxy-Authenticate: x\r\nProxy-Connection: x\r\nTE: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(response(text, Method::Get, AS_IS), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn a_body_gets_the_framing_that_its_delivery_asks_for() {
    let status = "HTTP/1.1 200 OK\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let with = |lines: &str, delivery| {
        let text = format!("{status}{lines}\r\n");
        let written = response(&text, Method::Get, ForwardResponse { delivery, ..AS_IS });
        let lines = written.strip_prefix(status).and_then(|rest| rest.strip_suffix("\r\n"));
        lines.expect("a head").to_owned()
    };
    assert_eq!(with("transfer-encoding: CHUNKED\r\n", Delivery::AsIs), chunked);
    assert_eq!(with("Trailer: A\r\n", Delivery::Chunk), format!("Trailer: A\r\n{chunked}"));
    assert_eq!(with(&format!("Trailer: A\r\n{chunked}"), Delivery::Dechunk), "");
    assert_eq!(with("Content-Length: 05\r\n", Delivery::AsIs), "Content-Length: 5\r\n");
    assert_eq!(with("", Delivery::AsIs), "");
}

#[test]
fn delivery_follows_framing_and_the_clients_version() {
    for (framing, client, delivery, ends_with_close) in [
        (Framing::Length(1), Version::Http11, Delivery::AsIs, false),
        (Framing::Length(1), Version::Http10, Delivery::AsIs, false),
        (Framing::Chunked, Version::Http11, Delivery::AsIs, false),
        (Framing::Chunked, Version::Http10, Delivery::Dechunk, true),
        (Framing::UntilClose, Version::Http11, Delivery::Chunk, false),
        (Framing::UntilClose, Version::Http10, Delivery::AsIs, true),
        (Framing::None, Version::Http11, Delivery::AsIs, false),
    ] {
        assert_eq!(Delivery::of(framing, client), delivery);
        assert_eq!(delivery.ends_with_close(framing), ends_with_close);
    }
}

#[test]
fn a_length_goes_on_where_it_may_stand() {
    let length = "Content-Length: 5\r\n";
    let written = |status: &str, method| {
        response(&format!("HTTP/1.1 {status}\r\n{length}\r\n"), method, AS_IS)
    };
    assert!(written("200 OK", Method::Head).contains(length));
    assert!(written("304 Same", Method::Get).contains(length));
    assert!(!written("204 None", Method::Get).contains(length));
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(response(text, Method::Head, AS_IS), "HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn the_client_is_told_whether_its_connection_stays() {
    let text = "HTTP/1.1 204 None\r\nConnection: keep-alive\r\n\r\n";
    for (client_version, close, said) in [
        (Version::Http11, false, ""),
        (Version::Http11, true, "Connection: close\r\n"),
        (Version::Http10, false, "Connection: keep-alive\r\n"),
        (Version::Http10, true, "Connection: close\r\n"),
    ] {
        let how = ForwardResponse { client_version, close, ..AS_IS };
        let written = response(text, Method::Get, how);
        assert_eq!(written, format!("HTTP/1.1 204 None\r\n{said}\r\n"));
    }
}

#[test]
fn a_switch_that_was_asked_for_goes_on() {
    let text = "HTTP/1.1 101 Switch\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n\
                Sec-WebSocket-Accept: x\r\nContent-Length: 0\r\n\r\n";
    let how = ForwardResponse { upgrade: true, ..AS_IS };
    assert_eq!(
        response(text, Method::Get, how),
        "HTTP/1.1 101 Switch\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\n\r\n"
    );
}

#[test]
fn a_response_says_when_it_was_made_once() {
    let how = ForwardResponse { date: "now", ..AS_IS };
    let dated = "HTTP/1.1 204 None\r\ndate: then\r\nConnection: date\r\n\r\n";
    assert_eq!(response(dated, Method::Get, how), "HTTP/1.1 204 None\r\ndate: then\r\n\r\n");
    let bare = "HTTP/1.1 204 None\r\n\r\n";
    assert_eq!(response(bare, Method::Get, how), "HTTP/1.1 204 None\r\nDate: now\r\n\r\n");
    assert_eq!(response(bare, Method::Get, AS_IS), bare);
}

#[test]
fn our_name_stands_at_the_end_of_the_way() {
    let how = ForwardResponse { via: Some("us"), ..AS_IS };
    for (version, said) in [("HTTP/1.1", "1.1"), ("HTTP/1.0", "1.0")] {
        let text = format!("{version} 204 None\r\nVia: 1.0 a\r\nVia: 1.1 b\r\n\r\n");
        let want =
            format!("HTTP/1.1 204 None\r\nVia: 1.0 a\r\nVia: 1.1 b\r\nVia: {said} us\r\n\r\n");
        assert_eq!(response(&text, Method::Get, how), want);
    }
}

#[test]
fn what_a_trusted_proxy_says_of_its_client_can_not_be_nominated_away() {
    let how = ForwardRequest { trusted: true, ..HOW };
    let lines = "Connection: X-Forwarded-For, X-Request-Id, Via, X-Mine\r\n\
                 X-Forwarded-For: 198.51.100.1\r\nX-Request-Id: id\r\nVia: 1.1 a\r\nX-Mine: 1\r\n";
    let written = get(lines, &how);
    assert!(written.contains("X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n"), "{written}");
    assert!(written.contains("X-Request-Id: id\r\n") && written.contains("Via: 1.1 a\r\n"));
    assert!(!written.contains("X-Mine"));
    // A backend may take away what it said itself.
    let text = "HTTP/1.1 204 None\r\nConnection: X-Request-Id\r\nX-Request-Id: id\r\n\r\n";
    assert_eq!(response(text, Method::Get, AS_IS), "HTTP/1.1 204 None\r\n\r\n");
}

#[test]
fn an_interim_response_has_headers_but_no_framing() {
    let text = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\nContent-Length: 0\r\n\r\n";
    let mut head = ResponseHead::default();
    let parsed = head.parse(text.as_bytes(), Method::Get, &LIMITS, &mut Progress::default());
    assert_eq!(parsed, Parsed::Complete);
    let mut out = Vec::new();
    write_interim(&mut out, text.as_bytes(), &head);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}
