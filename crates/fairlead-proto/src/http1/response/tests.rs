use super::*;
use crate::refusal::RefusalKind;

const LIMITS: Limits = Limits { head: 4096, headers: 64 };

/// Reads a head whole, and in every way of cutting it; all have to agree.
fn parse(input: &[u8], method: Method) -> Result<ResponseHead, Refusal> {
    let mut head = ResponseHead::default();
    let whole = head.parse(input, method, &LIMITS, &mut Progress::default());
    let mut dripping = (ResponseHead::default(), Progress::default(), Parsed::Partial);
    for cut in 0..=input.len() {
        let mut other = ResponseHead::default();
        let mut progress = Progress::default();
        let first = other.parse(&input[..cut], method, &LIMITS, &mut progress);
        assert!(matches!(first, Parsed::Partial) || first == whole, "{cut}: {first:?}");
        if first == Parsed::Partial {
            assert_eq!(other.parse(input, method, &LIMITS, &mut progress), whole, "{cut}");
        }
        if dripping.2 == Parsed::Partial {
            dripping.2 = dripping.0.parse(&input[..cut], method, &LIMITS, &mut dripping.1);
        }
    }
    assert_eq!(dripping.2, whole);
    match whole {
        Parsed::Complete => Ok(head),
        Parsed::Refused(refusal) => Err(refusal),
        Parsed::Partial => panic!("partial: {}", input.escape_ascii()),
    }
}

fn head(text: &str) -> ResponseHead {
    parse(text.as_bytes(), Method::Get).unwrap_or_else(|refusal| panic!("{text:?}: {refusal:?}"))
}

/// The rule that a response breaks; its kind is checked here.
fn broken(text: &str) -> &'static str {
    match parse(text.as_bytes(), Method::Get) {
        Ok(_) => panic!("accepted: {text:?}"),
        Err(refusal) => {
            assert_eq!(refusal.kind, RefusalKind::BadResponse, "{text:?}");
            refusal.what
        }
    }
}

/// A response of this status line and these header lines.
fn answer(start: &str, lines: &str) -> ResponseHead {
    head(&format!("HTTP/{start}\r\n{lines}\r\n"))
}

#[test]
fn a_plain_response_says_what_it_says() {
    let input =
        b"HTTP/1.1 404 Not  Found!\r\nContent-Length: 3\r\nKeep-Alive: timeout=5\r\n\r\nxyz";
    let head = parse(input, Method::Get).expect("accepted");
    assert_eq!((head.status(), head.phrase(input)), (404, &b"Not  Found!"[..]));
    assert_eq!(head.framing(), Framing::Length(3));
    assert_eq!(&input[head.len()..], b"xyz");
    assert_eq!(head.keep_alive_seconds(), Some(5));
    assert!(head.keep_alive() && !head.is_interim());
    assert_eq!(head.upgrade(), None);
    assert_eq!(head.version(), Version::Http11);
}

#[test]
fn status_lines_that_are_none_are_refused() {
    for (line, rule) in [
        ("HTTP/1.1 200 OK\n", strict::BARE_LF),
        ("HTTP/1.1 200 OK\rX", strict::BARE_CR),
        ("\r\nHTTP/1.1 200 OK\r\n", strict::NOT_HTTP),
        ("HTTP/2.0 200 OK\r\n", strict::NOT_HTTP),
        ("HTTP/0.9 200 OK\r\n", strict::NOT_HTTP),
        ("http/1.1 200 OK\r\n", strict::NOT_HTTP),
        ("ICY 200 OK\r\n", strict::NOT_HTTP),
        ("<html>", strict::NOT_HTTP),
        ("SSH-2.0-x\r\n", strict::NOT_HTTP),
        ("HTTP/1.1  200 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1\t200 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 099 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 600 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 999 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 20 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 2000 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 20x OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 -20 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 200OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 200\tOK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 OK\r\n", strict::BAD_STATUS),
        ("HTTP/1.1\r\n", strict::BAD_STATUS),
        ("HTTP/1.1 200 O\0K\r\n", strict::BAD_PHRASE),
        ("HTTP/1.1 200 O\u{1b}K\r\n", strict::BAD_PHRASE),
    ] {
        assert_eq!(broken(&format!("{line}A: b\r\n\r\n")), rule.what, "{line:?}");
    }
}

#[test]
fn a_phrase_may_be_anything_or_nothing() {
    for (line, phrase) in [
        ("HTTP/1.1 200 OK", "OK"),
        ("HTTP/1.1 200 ", ""),
        ("HTTP/1.1 200", ""),
        ("HTTP/1.1 200  \u{e4}\t", " \u{e4}\t"),
    ] {
        let text = format!("{line}\r\n\r\n");
        assert_eq!(head(&text).phrase(text.as_bytes()), phrase.as_bytes(), "{line}");
    }
}

#[test]
fn header_lines_are_as_strict_as_those_of_requests() {
    for (line, rule) in [
        ("A: b\nC: d\r\n", strict::BARE_LF),
        ("A: b\r\n c\r\n", strict::FOLDED),
        ("A : b\r\n", strict::SPACE_BEFORE_COLON),
        (": b\r\n", strict::EMPTY_NAME),
        ("A\r\n", strict::NO_COLON),
        ("A: \0\r\n", strict::CONTROL_BYTE),
    ] {
        assert_eq!(broken(&format!("HTTP/1.1 200 OK\r\n{line}\r\n")), rule.what, "{line:?}");
    }
}

#[test]
fn where_the_body_ends_depends_on_status_and_method() {
    let framing = |status: &str, lines: &str, method: Method| {
        let text = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
        parse(text.as_bytes(), method).expect("accepted").framing()
    };
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    assert_eq!(framing("200 OK", length, Method::Get), Framing::Length(5));
    assert_eq!(framing("200 OK", chunked, Method::Get), Framing::Chunked);
    assert_eq!(framing("200 OK", "", Method::Get), Framing::UntilClose);
    assert_eq!(framing("500 No", "", Method::Post), Framing::UntilClose);
    assert_eq!(framing("205 Reset", length, Method::Post), Framing::Length(5));
    for lines in [length, chunked, ""] {
        assert_eq!(framing("200 OK", lines, Method::Head), Framing::None);
        assert_eq!(framing("304 Same", lines, Method::Get), Framing::None);
    }
    for status in ["100 Go", "101 Switch", "103 Hints", "199 X", "204 None"] {
        assert_eq!(framing(status, "", Method::Get), Framing::None);
        assert_eq!(framing(status, length, Method::Get), Framing::None);
        let text = format!("HTTP/1.1 {status}\r\n{chunked}\r\n");
        assert_eq!(broken(&text), strict::CODING_WITHOUT_BODY.what);
    }
}

#[test]
fn any_doubt_about_framing_is_refused() {
    for (lines, rule) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", strict::TWO_LENGTHS),
        ("Content-Length: 5,5\r\n", strict::BAD_LENGTH),
        ("Content-Length: \r\n", strict::BAD_LENGTH),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", strict::CODING_AND_LENGTH),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", strict::TWO_CODINGS),
        ("Transfer-Encoding: gzip\r\n", strict::BAD_CODING),
        ("Transfer-Encoding: gzip, chunked\r\n", strict::OTHER_CODING),
    ] {
        assert_eq!(broken(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")), rule.what, "{lines}");
        // Not even where there is no body: the next one on the connection could disagree.
        assert_eq!(broken(&format!("HTTP/1.1 304 Same\r\n{lines}\r\n")), rule.what, "{lines}");
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(broken(old), strict::CODING_IN_OLD.what);
}

#[test]
fn a_connection_is_kept_by_version_options_and_framing() {
    for (start, lines, kept) in [
        ("1.1 200 OK", "Content-Length: 0\r\n", true),
        ("1.1 200 OK", "Transfer-Encoding: chunked\r\n", true),
        ("1.1 200 OK", "", false),
        ("1.1 200 OK", "Content-Length: 0\r\nConnection: close\r\n", false),
        ("1.1 204 None", "", true),
        ("1.0 200 OK", "Content-Length: 0\r\n", false),
        ("1.0 200 OK", "Content-Length: 0\r\nConnection: keep-alive\r\n", true),
        ("1.0 200 OK", "Connection: keep-alive\r\n", false),
        ("1.1 101 Switch", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
    ] {
        assert_eq!(answer(start, lines).keep_alive(), kept, "{start} {lines}");
    }
}

#[test]
fn an_interim_response_is_no_switch() {
    for (start, interim) in
        [("1.1 100 Go", true), ("1.1 103 Hints", true), ("1.1 101 S", false), ("1.1 200 OK", false)]
    {
        assert_eq!(answer(start, "").is_interim(), interim, "{start}");
    }
}

#[test]
fn a_switch_names_one_protocol_in_both_headers() {
    let both = "Connection: Upgrade\r\nUpgrade: WebSocket\r\n";
    assert_eq!(answer("1.1 101 Switch", both).upgrade(), Some(Upgrade::WebSocket));
    assert_eq!(answer("1.1 200 OK", both).upgrade(), None);
    for other in [
        "",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    ] {
        assert_eq!(answer("1.1 101 Switch", other).upgrade(), None, "{other}");
    }
}

#[test]
fn sizes_are_refused_as_sizes() {
    let parse = |input: &[u8], limits: Limits| {
        ResponseHead::default().parse(input, Method::Get, &limits, &mut Progress::default())
    };
    let input = b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n";
    let fits = Limits { head: input.len(), headers: 2 };
    assert_eq!(parse(input, fits), Parsed::Complete);
    let short = Limits { head: input.len() - 1, ..fits };
    assert_eq!(parse(input, short), Parsed::Refused(strict::HEAD_TOO_LARGE));
    let few = Limits { headers: 1, ..fits };
    assert_eq!(parse(input, few), Parsed::Refused(strict::TOO_MANY_HEADERS));
}
