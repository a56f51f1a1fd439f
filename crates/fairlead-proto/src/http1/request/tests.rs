use super::*;
use crate::refusal::RefusalKind;

const LIMITS: Limits = Limits { head: 4096, headers: 64 };

/// Reads a head whole, and in every way of cutting it; all have to agree.
fn parse(input: &[u8]) -> Result<RequestHead, Refusal> {
    let mut head = RequestHead::default();
    let whole = head.parse(input, &LIMITS, &mut Progress::default());
    for cut in 0..input.len() {
        let mut other = RequestHead::default();
        let mut progress = Progress::default();
        let first = other.parse(&input[..cut], &LIMITS, &mut progress);
        assert!(matches!(first, Parsed::Partial) || first == whole, "{cut}: {first:?}");
        assert_eq!(other.parse(input, &LIMITS, &mut progress), whole, "{cut}");
    }
    assert_eq!(dripped(input), whole);
    match whole {
        Parsed::Complete => Ok(head),
        Parsed::Refused(refusal) => Err(refusal),
        Parsed::Partial => panic!("partial: {}", input.escape_ascii()),
    }
}

/// What becomes of a head that comes byte by byte.
fn dripped(input: &[u8]) -> Parsed {
    let mut head = RequestHead::default();
    let mut progress = Progress::default();
    for end in 0..input.len() {
        let parsed = head.parse(&input[..end], &LIMITS, &mut progress);
        if parsed != Parsed::Partial {
            return parsed;
        }
    }
    head.parse(input, &LIMITS, &mut progress)
}

fn head(text: &str) -> RequestHead {
    parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text:?}: {refusal:?}"))
}

fn refusal(text: &str) -> Refusal {
    match parse(text.as_bytes()) {
        Ok(_) => panic!("accepted: {text:?}"),
        Err(refusal) => refusal,
    }
}

/// A GET with these header lines after its Host.
fn get(lines: &str) -> RequestHead {
    head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

/// Why a GET with these header lines after its Host is refused.
fn get_refusal(lines: &str) -> Refusal {
    refusal(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn a_plain_request_says_what_it_says() {
    let input = b"PUT /a/b?c=d HTTP/1.1\r\nHost: Example.com:8080\r\nContent-Length: 3\r\n\r\nxyz";
    let head = parse(input).expect("accepted");
    assert_eq!(head.method(), Method::Put);
    assert_eq!(head.method_name(input), b"PUT");
    assert_eq!(head.target(input), b"/a/b?c=d");
    assert_eq!(head.path(input), b"/a/b");
    assert_eq!(head.query(input), b"?c=d");
    assert_eq!(head.authority(input), b"Example.com:8080");
    assert_eq!(head.host(input), b"Example.com");
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.framing(), Framing::Length(3));
    assert_eq!(&input[head.len()..], b"xyz");
    assert!(head.keep_alive());
    assert!(!head.expect_continue() && !head.wants_trailers());
    assert_eq!((head.upgrade(), head.max_forwards()), (None, None));
}

#[test]
fn request_lines_that_are_none_are_refused() {
    for (line, rule) in [
        ("GET / HTTP/1.1\n", strict::BARE_LF),
        ("GET / HTTP/1.1\rX", strict::BARE_CR),
        ("GET / HTTP/1.1\r\r\n", strict::BARE_CR),
        ("GET / HTTP/1.1 \r\n", strict::BAD_VERSION),
        ("GET / HTTP/1.10\r\n", strict::BAD_VERSION),
        ("GET / HTTP/1.1\t\r\n", strict::BAD_VERSION),
        ("GET / HTTP/1.1\0\r\n", strict::BAD_VERSION),
        ("GET / http/1.1\r\n", strict::BAD_VERSION),
        ("GET / HTTP/1,1\r\n", strict::BAD_VERSION),
        ("GET / HTTP/11\r\n", strict::BAD_VERSION),
        ("GET / HTTP/1.\r\n", strict::BAD_VERSION),
        ("GET / HTTP 1.1\r\n", strict::BAD_VERSION),
        ("GET / ICY/1.1\r\n", strict::BAD_VERSION),
        ("GET / \r\n", strict::BAD_VERSION),
        ("GET /  HTTP/1.1\r\n", strict::BAD_VERSION),
        ("GET /\tHTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET /a b HTTP/1.1\r\n", strict::BAD_VERSION),
        ("GET /\r\n", strict::NO_VERSION),
        ("GET /\n", strict::NO_VERSION),
        ("GET  / HTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET\t/ HTTP/1.1\r\n", strict::BAD_METHOD),
        (" GET / HTTP/1.1\r\n", strict::BAD_METHOD),
        ("G@T / HTTP/1.1\r\n", strict::BAD_METHOD),
        ("GET\r\n", strict::BAD_METHOD),
        ("\0GET / HTTP/1.1\r\n", strict::BAD_METHOD),
        ("\u{16}\u{3}\u{1}\u{2}", strict::BAD_METHOD),
        ("GET /a#b HTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET /\u{e4} HTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET /\u{7f} HTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET /\0 HTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET /\u{1b} HTTP/1.1\r\n", strict::BAD_TARGET),
        ("GET a HTTP/1.1\r\n", strict::TARGET_FORM),
        ("GET * HTTP/1.1\r\n", strict::TARGET_FORM),
        ("GET a:80 HTTP/1.1\r\n", strict::TARGET_FORM),
        ("GET ftp://a/ HTTP/1.1\r\n", strict::TARGET_SCHEME),
        ("GET http://u@a/ HTTP/1.1\r\n", strict::USERINFO),
        ("GET http:///a HTTP/1.1\r\n", strict::EMPTY_HOST),
        ("CONNECT a:80 HTTP/1.1\r\n", strict::CONNECT),
        ("CONNECT / HTTP/1.1\r\n", strict::CONNECT),
    ] {
        assert_eq!(refusal(&format!("{line}Host: a\r\n\r\n")), rule, "{line:?}");
    }
}

#[test]
fn versions_of_the_first_major_are_read_as_ours() {
    for (version, read) in [
        ("1.0", Version::Http10),
        ("1.1", Version::Http11),
        ("1.2", Version::Http11),
        ("1.9", Version::Http11),
    ] {
        let head = head(&format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert_eq!(head.version(), read);
    }
    for version in ["0.9", "2.0", "3.0", "9.1"] {
        let refusal = refusal(&format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert_eq!(refusal, strict::OTHER_MAJOR);
        assert_eq!(refusal.kind, RefusalKind::VersionNotSupported);
    }
    assert_eq!(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), strict::OTHER_MAJOR);
}

#[test]
fn two_empty_lines_may_come_before_a_request_and_no_more() {
    let input = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nnext";
    let head = parse(input).expect("accepted");
    assert_eq!(&input[head.len()..], b"next");
    assert_eq!(head.path(input), b"/");
    assert_eq!(refusal("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), strict::EMPTY_LINES);
    assert_eq!(refusal("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), strict::BARE_LF);
    assert_eq!(refusal("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), strict::BARE_CR);
}

#[test]
fn header_lines_that_are_none_are_refused() {
    for (line, rule) in [
        ("A: b\nC: d\r\n", strict::BARE_LF),
        ("A: b\rC: d\r\n", strict::BARE_CR),
        ("A: b\r\r\n", strict::BARE_CR),
        ("\nA: b\r\n", strict::BARE_LF),
        ("\rA: b\r\n", strict::BARE_CR),
        ("A: b\r\n c\r\n", strict::FOLDED),
        ("A: b\r\n\tc\r\n", strict::FOLDED),
        (" A: b\r\n", strict::FOLDED),
        ("A : b\r\n", strict::SPACE_BEFORE_COLON),
        ("A\t: b\r\n", strict::SPACE_BEFORE_COLON),
        ("A B: c\r\n", strict::SPACE_BEFORE_COLON),
        (": b\r\n", strict::EMPTY_NAME),
        ("A\r\n", strict::NO_COLON),
        ("A\n", strict::NO_COLON),
        ("A\0: b\r\n", strict::BAD_NAME),
        ("A(: b\r\n", strict::BAD_NAME),
        ("\"A\": b\r\n", strict::BAD_NAME),
        ("\u{e4}: b\r\n", strict::BAD_NAME),
        ("A\u{7f}: b\r\n", strict::BAD_NAME),
        ("A: b\0c\r\n", strict::CONTROL_BYTE),
        ("A: b\u{b}c\r\n", strict::CONTROL_BYTE),
        ("A: b\u{7f}\r\n", strict::CONTROL_BYTE),
        ("A: \u{1}\r\n", strict::CONTROL_BYTE),
    ] {
        assert_eq!(get_refusal(line), rule, "{line:?}");
    }
}

#[test]
fn values_are_trimmed_and_keep_what_else_is_in_them() {
    let text = "GET / HTTP/1.1\r\nHost:a\r\nA:\t b\tc  d\u{e4} \t\r\nB:\r\nC: \t\r\n\r\n";
    let (head, input) = (head(text), text.as_bytes());
    assert_eq!(head.fields().find(input, b"a"), Some("b\tc  d\u{e4}".as_bytes()));
    assert_eq!(head.fields().find(input, b"b"), Some(&b""[..]));
    assert_eq!(head.fields().find(input, b"c"), Some(&b""[..]));
    assert_eq!(head.fields().find(input, b"d"), None);
    assert_eq!(head.fields().count(), 4);
}

#[test]
fn a_host_is_named_once() {
    assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), strict::NO_HOST);
    assert_eq!(refusal("GET / HTTP/1.1\r\nA: b\r\n\r\n"), strict::NO_HOST);
    assert_eq!(get_refusal("Host: a\r\n"), strict::TWO_HOSTS);
    assert_eq!(get_refusal("host: b\r\n"), strict::TWO_HOSTS);
    assert_eq!(refusal("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), strict::TWO_HOSTS);
    assert_eq!(refusal("GET / HTTP/1.1\r\nHost:\r\n\r\n"), strict::EMPTY_HOST);
    assert_eq!(refusal("GET / HTTP/1.0\r\nHost: \r\n\r\n"), strict::EMPTY_HOST);
    for bad in ["a b", "a,b", "a/b", "u@a", "a:b", "a:99999", "http://a", "[::1", "a\\b", "a:80:80"]
    {
        let text = format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n");
        assert_eq!(refusal(&text), strict::BAD_HOST, "{bad}");
    }
    let old = head("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.authority(b"GET / HTTP/1.0\r\n\r\n"), b"");
    assert_eq!(old.host(b"GET / HTTP/1.0\r\n\r\n"), b"");
}

#[test]
fn an_absolute_target_replaces_the_host_but_does_not_excuse_it() {
    let input = b"GET http://one:1/path?q HTTP/1.1\r\nHost: two\r\n\r\n";
    let head = parse(input).expect("accepted");
    assert_eq!(head.authority(input), b"one:1");
    assert_eq!(head.host(input), b"one");
    assert_eq!(head.path(input), b"/path");
    assert_eq!(head.target(input), b"http://one:1/path?q");
    assert_eq!(refusal("GET http://one/ HTTP/1.1\r\n\r\n"), strict::NO_HOST);
    assert_eq!(refusal("GET http://one/ HTTP/1.1\r\nHost: a b\r\n\r\n"), strict::BAD_HOST);
}

#[test]
fn ipv6_hosts_keep_their_brackets() {
    let input = b"OPTIONS * HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n";
    let head = parse(input).expect("accepted");
    assert_eq!(head.host(input), b"[2001:db8::1]");
    assert_eq!(head.path(input), b"*");
}

#[test]
fn one_framing_or_none() {
    let framing =
        |lines: &str| head(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).framing();
    assert_eq!(framing(""), Framing::None);
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::Length(0));
    assert_eq!(framing("content-length:  12 \r\n"), Framing::Length(12));
    assert_eq!(framing("Content-Length: 0012\r\n"), Framing::Length(12));
    assert_eq!(framing("Transfer-Encoding: chunked\r\n"), Framing::Chunked);
    assert_eq!(framing("transfer-encoding:CHUNKED\t\r\n"), Framing::Chunked);
    assert_eq!(framing("TE: chunked\r\n"), Framing::None);
}

#[test]
fn any_doubt_about_framing_is_refused() {
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let turned = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    for (lines, rule) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", strict::TWO_LENGTHS),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", strict::TWO_LENGTHS),
        ("Content-Length: 5, 5\r\n", strict::BAD_LENGTH),
        ("Content-Length: +5\r\n", strict::BAD_LENGTH),
        ("Content-Length: -0\r\n", strict::BAD_LENGTH),
        ("Content-Length:\r\n", strict::BAD_LENGTH),
        ("Content-Length: 5 5\r\n", strict::BAD_LENGTH),
        ("Content-Length: 0x5\r\n", strict::BAD_LENGTH),
        ("Content-Length: 99999999999999999999\r\n", strict::BAD_LENGTH),
        (both, strict::CODING_AND_LENGTH),
        (turned, strict::CODING_AND_LENGTH),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", strict::TWO_CODINGS),
        ("Transfer-Encoding: identity\r\n", strict::BAD_CODING),
        ("Transfer-Encoding: chunked, identity\r\n", strict::BAD_CODING),
        ("Transfer-Encoding: chunked,chunked\r\n", strict::BAD_CODING),
        ("Transfer-Encoding: x\r\n", strict::BAD_CODING),
        ("Transfer-Encoding:\r\n", strict::BAD_CODING),
        ("Transfer-Encoding: \"chunked\"\r\n", strict::BAD_CODING),
        ("Transfer-Encoding: gzip, chunked\r\n", strict::OTHER_CODING),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        assert_eq!(refusal(&text), rule, "{lines}");
    }
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refusal(old), strict::CODING_IN_OLD);
    assert_eq!(strict::OTHER_CODING.kind, RefusalKind::NotImplemented);
    assert_eq!(strict::CODING_AND_LENGTH.kind, RefusalKind::BadFraming);
}

#[test]
fn a_connection_stays_by_version_and_options() {
    for (version, option, stays) in [
        ("1.1", "", true),
        ("1.1", "keep-alive", true),
        ("1.1", "close", false),
        ("1.1", "Keep-Alive, CLOSE", false),
        ("1.0", "", false),
        ("1.0", "Keep-Alive", true),
        ("1.0", "x, keep-alive", true),
        ("1.0", "keep-alive, close", false),
        ("1.2", "", true),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {option}\r\n\r\n");
        assert_eq!(head(&text).keep_alive(), stays, "{version} {option}");
    }
    assert!(!get("Connection: keep-alive\r\nConnection: close\r\n").keep_alive());
}

#[test]
fn options_of_a_connection_are_bounded() {
    let lines = format!("Connection: {}\r\n", "a,".repeat(33));
    assert_eq!(get_refusal(&lines), strict::TOO_MANY_OPTIONS);
}

#[test]
fn an_expectation_is_to_continue_or_fails() {
    let post =
        |version: &str, lines: &str| format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
    let length = "Content-Length: 1\r\n";
    let expects = |lines: &str| head(&post("1.1", &format!("{lines}{length}"))).expect_continue();
    assert!(expects("Expect: 100-continue\r\n"));
    assert!(expects("expect: 100-CONTINUE, 100-continue\r\n"));
    assert!(!expects("Expect:\r\n"));
    assert!(!get("Expect: 100-continue\r\n").expect_continue());
    let old = post("1.0", &format!("Expect: 100-continue\r\n{length}"));
    assert!(!head(&old).expect_continue());
    for other in ["200-ok", "100-continue, x", "100-continue;a=b", "100"] {
        let text = post("1.1", &format!("Expect: {other}\r\n"));
        assert_eq!(refusal(&text), strict::EXPECTATION, "{other}");
    }
}

#[test]
fn only_a_websocket_switch_in_a_plain_get_counts() {
    let asks = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(get(asks).upgrade(), Some(Upgrade::WebSocket));
    let several = "Connection: upgrade\r\nUpgrade: h2c, WebSocket\r\n";
    assert_eq!(get(several).upgrade(), Some(Upgrade::WebSocket));
    let two = "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n";
    assert_eq!(get(two).upgrade(), Some(Upgrade::WebSocket));
    assert_eq!(get(&format!("{asks}Content-Length: 0\r\n")).upgrade(), Some(Upgrade::WebSocket));
    for other in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ] {
        assert_eq!(get(other).upgrade(), None, "{other}");
    }
    assert_eq!(get(&format!("{asks}Content-Length: 5\r\n")).upgrade(), None);
    assert_eq!(get(&format!("{asks}Transfer-Encoding: chunked\r\n")).upgrade(), None);
    let post = head(&format!("POST / HTTP/1.1\r\nHost: a\r\n{asks}\r\n"));
    let old = head(&format!("GET / HTTP/1.0\r\nHost: a\r\n{asks}\r\n"));
    assert_eq!((post.upgrade(), old.upgrade()), (None, None));
}

#[test]
fn trailers_are_wanted_by_te_alone() {
    assert!(get("TE: trailers\r\nConnection: TE\r\n").wants_trailers());
    assert!(get("TE: deflate;q=0.5, Trailers\r\n").wants_trailers());
    assert!(!get("TE: deflate\r\n").wants_trailers());
    assert!(!get("Trailer: a\r\n").wants_trailers());
}

#[test]
fn max_forwards_counts_for_trace_and_options() {
    let asked = |method: &str, value: &str| {
        format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n")
    };
    assert_eq!(head(&asked("OPTIONS", "0")).max_forwards(), Some(0));
    assert_eq!(head(&asked("TRACE", "10")).max_forwards(), Some(10));
    assert_eq!(head(&asked("GET", "10")).max_forwards(), None);
    assert_eq!(head(&asked("GET", "x")).max_forwards(), None);
    assert_eq!(refusal(&asked("TRACE", "x")), strict::BAD_MAX_FORWARDS);
}

#[test]
fn a_body_loses_the_trailers_that_connection_names() {
    let input =
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine\r\nTransfer-Encoding: chunked\r\n\
                  Connection: te\r\n\r\n0\r\nTe: 1\r\nX-MINE: 2\r\nX-Sum: 3\r\n\r\n";
    let mut head = RequestHead::default();
    assert_eq!(head.parse(input, &LIMITS, &mut Progress::default()), Parsed::Complete);
    let mut out = Vec::new();
    let fed = head
        .body(input, ChunkLimits::UNLIMITED)
        .feed(&input[head.len()..], true, &mut out)
        .expect("a body");
    assert!(fed.done && out == b"0\r\nX-Sum: 3\r\n\r\n");
}

#[test]
fn an_absolute_target_says_its_scheme() {
    for (target, https) in
        [("/https://a", false), ("http://a/", false), ("https://a/", true), ("HTTPS://a", true)]
    {
        let input = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut head = RequestHead::default();
        let parsed = head.parse(input.as_bytes(), &LIMITS, &mut Progress::default());
        assert_eq!((parsed, head.is_https()), (Parsed::Complete, https), "{target}");
    }
}

#[test]
fn the_method_of_a_refused_request_is_known_once_it_was_read() {
    let mut head = RequestHead::default();
    for (input, method) in [
        ("HEAD / HTTP/1.1\r\n\r\n", Method::Head),
        ("HEAD nonsense HTTP/1.1\r\n\r\n", Method::Head),
        ("HEAD\t/ HTTP/1.1\r\n\r\n", Method::Get),
    ] {
        let parsed = head.parse(input.as_bytes(), &LIMITS, &mut Progress::default());
        assert!(matches!(parsed, Parsed::Refused(_)), "{input}");
        assert_eq!(head.method(), method, "{input}");
    }
}

#[test]
fn trace_has_no_body() {
    let text = "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(refusal(text), strict::TRACE_BODY);
    head("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn nominated_headers_and_underscores_are_invisible() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-Two: 2\r\nX_Forwarded_For: 3\r\n\
                Connection: x-one, host\r\nConnection: ACCEPT\r\n\
                Accept: 4\r\nCookie: a=b\r\n\r\n";
    let (head, input) = (head(text), text.as_bytes());
    let seen: Vec<_> = head.fields().iter(input).map(|(name, _)| name).collect();
    assert_eq!(seen, [&b"Host"[..], b"X-Two", b"Connection", b"Connection", b"Cookie"]);
    assert_eq!(head.fields().find(input, b"accept"), None);
    assert_eq!(head.host(input), b"a");
}

#[test]
fn cookies_are_found_by_their_whole_name() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: aa=1; a=2;a=3\r\nCookie: b; c==;d=\"x\"\r\n\r\n";
    let (head, input) = (head(text), text.as_bytes());
    let cookie = |name: &str| head.fields().cookie(input, name.as_bytes());
    assert_eq!(cookie("a"), Some(&b"2"[..]));
    assert_eq!(cookie("aa"), Some(&b"1"[..]));
    assert_eq!(cookie("c"), Some(&b"="[..]));
    assert_eq!(cookie("d"), Some(&b"\"x\""[..]));
    assert_eq!((cookie("b"), cookie("A"), cookie("")), (None, None, None));
}

#[test]
fn a_head_of_exactly_the_limit_is_fine_and_a_byte_more_is_not() {
    let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let parse = |input: &[u8], limit: usize| {
        let limits = Limits { head: limit, headers: 8 };
        RequestHead::default().parse(input, &limits, &mut Progress::default())
    };
    assert_eq!(parse(whole, whole.len()), Parsed::Complete);
    let longer = [&whole[..], b"and a body"].concat();
    assert_eq!(parse(&longer, whole.len()), Parsed::Complete);
    let large = Parsed::Refused(strict::HEAD_TOO_LARGE);
    assert_eq!(parse(whole, whole.len() - 1), large);
    // Refused before it is whole, once it can't be whole within the limit.
    assert_eq!(parse(&whole[..20], 20), large);
    assert_eq!(parse(&whole[..19], 20), Parsed::Partial);
    assert_eq!(parse(&whole[..10], 10), Parsed::Refused(strict::REQUEST_LINE_TOO_LONG));
    assert_eq!(parse(b"", 0), Parsed::Refused(strict::REQUEST_LINE_TOO_LONG));
}

#[test]
fn lines_are_counted_to_the_limit() {
    let parse = |lines: usize, headers: usize| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(lines - 1));
        let limits = Limits { head: 4096, headers };
        RequestHead::default().parse(text.as_bytes(), &limits, &mut Progress::default())
    };
    assert_eq!(parse(5, 5), Parsed::Complete);
    assert_eq!(parse(6, 5), Parsed::Refused(strict::TOO_MANY_HEADERS));
}

#[test]
fn a_head_that_drips_is_refused_when_it_has_doubled_at_the_latest() {
    let bad = b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n";
    let mut input = bad.to_vec();
    let (mut head, mut progress) = (RequestHead::default(), Progress::default());
    let mut end = 1;
    while head.parse(&input[..end], &LIMITS, &mut progress) == Parsed::Partial {
        end += 1;
        if end > input.len() {
            input.extend_from_slice(b"C: d\r\n");
        }
    }
    assert!(end <= bad.len() * 2, "{end}");
}

#[test]
fn the_next_head_is_read_into_the_same_memory() {
    let mut head = RequestHead::default();
    let first = b"POST / HTTP/1.0\r\nA: 1\r\nB: 2\r\nContent-Length: 7\r\n\r\n";
    let second = b"GET /x HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_eq!(head.parse(first, &LIMITS, &mut Progress::default()), Parsed::Complete);
    assert_eq!(head.parse(second, &LIMITS, &mut Progress::default()), Parsed::Complete);
    assert_eq!((head.framing(), head.fields().count()), (Framing::None, 1));
    assert_eq!((head.method(), head.version()), (Method::Get, Version::Http11));
}
