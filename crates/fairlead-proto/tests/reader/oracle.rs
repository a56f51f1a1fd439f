//! What must hold for every input, whatever it is. Used by the property tests and the fuzz targets.
//!
//! 1. Both readers take it or neither does, and they read the same message.
//! 2. However the input is cut into pieces, the answer is the same.
//! 3. What is written for the other side, the second reader takes, and finds in it exactly the
//!    message that should go on: nothing lost, nothing added, nothing readable in another way.

use fairlead_proto::forwarded::Scheme;
use fairlead_proto::http1::{
    write_request, write_response, BodyReader, ChunkLimits, Delivery, ForwardRequest,
    ForwardResponse, Framing, Limits, Method, Parsed, Progress, RequestHead, ResponseHead, Version,
};
use fairlead_proto::Refusal;

use crate::second::{self, Body, Field, Message};

const LIMITS: Limits = Limits { head: 8192, headers: 64 };
/// As the second reader has them.
const CHUNKS: ChunkLimits =
    ChunkLimits { line: 256, excess: 16 * 1024, trailers: 32, trailer_bytes: 8 * 1024 };

const HOW: ForwardRequest<'static> = ForwardRequest {
    client: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
    scheme: Scheme::Http,
    trusted: false,
    request_id: Some(b"id"),
    default_host: "backend:1",
    upgrade: true,
    close: false,
    via: None,
};

/// Cuts that depend on the input alone, so that a finding can be played again from its bytes.
pub(crate) fn cuts(input: &[u8]) -> Vec<u8> {
    let mut state = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    let (count, most) = (next() % 12, next() | 1);
    (0..count).map(|_| next() % most).collect()
}

/// Prefix lengths to hand in, ascending, the whole last.
fn ends(length: usize, cuts: &[u8]) -> Vec<usize> {
    let mut ends = vec![length];
    let mut at = 0;
    for cut in cuts {
        at += usize::from(*cut);
        if at < length {
            ends.push(at);
        }
    }
    ends.sort_unstable();
    ends
}

fn same_framing(framing: Framing, body: Body) -> bool {
    match framing {
        Framing::None => body == Body::None,
        Framing::Length(length) => body == Body::Length(length),
        Framing::Chunked => body == Body::Chunked,
        Framing::UntilClose => body == Body::UntilClose,
    }
}

fn within_limits(message: &Message) -> bool {
    message.fields.len() <= LIMITS.headers && message.length <= LIMITS.head
}

/// Checks that a head that comes in pieces is judged as the whole is. While its end isn't there, a
/// wrong one may still count as partial, but no longer.
fn check_dripping(
    input: &[u8],
    cuts: &[u8],
    whole: Parsed,
    mut parse: impl FnMut(&[u8]) -> Parsed,
) {
    for end in ends(input.len(), cuts) {
        let parsed = parse(&input[..end]);
        if parsed != Parsed::Partial {
            return assert_eq!(parsed, whole);
        }
    }
    assert_ne!(whole, Parsed::Complete);
    if input.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        // An end that is added would be empty lines before a head.
        return;
    }
    let ended = parse(&[input, b"\r\n\r\n"].concat());
    assert_ne!(ended, Parsed::Partial);
    assert!(whole == Parsed::Partial || ended == whole);
}

/// Checks a request head.
pub(crate) fn check_request(input: &[u8], cuts: &[u8]) {
    let mut head = RequestHead::default();
    let whole = head.parse(input, &LIMITS, &mut Progress::default());
    let mut dripping = (RequestHead::default(), Progress::default());
    check_dripping(input, cuts, whole, |input| {
        let (head, progress) = &mut dripping;
        head.parse(input, &LIMITS, progress)
    });
    let other = second::request(input).filter(within_limits);
    assert_eq!(whole == Parsed::Complete, other.is_some(), "{whole:?}, but {other:?}");
    let Some(other) = other else { return };
    assert_eq!(head.len(), other.length);
    assert!(same_framing(head.framing(), other.body));

    let mut out = Vec::new();
    write_request(&mut out, input, &head, &HOW);
    let written = second::request(&out).expect("what is written is a request");
    assert_eq!(written.length, out.len());
    assert_eq!(written.body, other.body);
    assert_eq!(written.start, onward_start(&other));
    assert_eq!(sorted(written.fields), sorted(onward_fields(&other)));
    check_by_third_reader(&out);
    check_other_ways(input, &head);
}

/// However a request goes on, it is one request of the same meaning.
fn check_other_ways(input: &[u8], head: &RequestHead) {
    for (trusted, upgrade, close) in
        [(true, true, false), (true, false, true), (false, false, true)]
    {
        let mut out = Vec::new();
        let how = ForwardRequest { trusted, upgrade, close, client: None, via: Some("us"), ..HOW };
        write_request(&mut out, input, head, &how);
        let written = second::request(&out).expect("what is written is a request");
        assert_eq!(written.length, out.len());
        assert!(same_framing(head.framing(), written.body));
        assert_eq!(written.start[1], [head.path(input), head.query(input)].concat());
        let options = second::elements(&written.fields, "connection");
        assert_eq!(options.contains(&"close".to_owned()), close);
        assert!(upgrade || !options.contains(&"upgrade".to_owned()));
        for once in ["x-forwarded-proto", "x-request-id"] {
            assert_eq!(written.values(once).len(), 1, "{once}");
        }
        let version = if head.version() == Version::Http10 { "1.0" } else { "1.1" };
        let via = second::elements(&written.fields, "via");
        assert_eq!(via.last(), Some(&format!("{version} us")));
    }
}

/// httparse is lenient, so it is no judge of what to refuse; but what we write it must take.
fn check_by_third_reader(out: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(out).expect("what is written is taken");
    assert_eq!(status, httparse::Status::Complete(out.len()));
    let ours = second::request(out).expect("a request");
    assert_eq!(request.method.map(str::as_bytes), Some(ours.start[0].as_slice()));
    assert_eq!(request.path.map(str::as_bytes), Some(ours.start[1].as_slice()));
    let named = |header: &httparse::Header<'_>| header.name.to_ascii_lowercase();
    let fields = request.headers.iter().map(|header| (named(header), header.value.to_vec()));
    assert_eq!(fields.collect::<Vec<_>>(), ours.fields);
}

fn onward_start(message: &Message) -> Vec<Vec<u8>> {
    let target = match message.absolute() {
        None => message.start[1].clone(),
        Some((_, rest)) if rest.is_empty() && message.start[0] == b"OPTIONS" => b"*".to_vec(),
        Some((_, rest)) if rest.starts_with('/') => rest.into_bytes(),
        Some((_, rest)) => format!("/{rest}").into_bytes(),
    };
    vec![message.start[0].clone(), target, b"HTTP/1.1".to_vec()]
}

const HOP_BY_HOP: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

const PROTECTED: &[&str] = &[
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expect",
    "host",
    "via",
];

const FORWARDING: &[&str] = &["forwarded", "x-real-ip", "x-request-id"];

/// Names that matter besides those, and have a dash that could be an underscore.
const DASHED: &[&str] = &["max-forwards", "set-cookie"];

fn is_forwarding(name: &str) -> bool {
    let prefixed = name.strip_prefix("x-forwarded-").is_some_and(|rest| !rest.is_empty());
    FORWARDING.contains(&name) || prefixed
}

fn is_alias(name: &str) -> bool {
    let dashed = name.replace('_', "-");
    let known = |list: &[&str]| list.contains(&dashed.as_str());
    let matters = known(HOP_BY_HOP) || known(PROTECTED) || known(DASHED) || is_forwarding(&dashed);
    name.contains('_') && matters
}

/// The fields that pass any hop. (What a request says about its client goes on or doesn't for
/// other reasons than `Connection`.)
fn end_to_end(message: &Message) -> Vec<Field> {
    let nominated = second::elements(&message.fields, "connection");
    let ends_here = |name: &str| {
        let is_nominated = nominated.iter().any(|option| option == name);
        HOP_BY_HOP.contains(&name) || is_alias(name) || (is_nominated && !PROTECTED.contains(&name))
    };
    message.fields.iter().filter(|field| !ends_here(&field.0)).cloned().collect()
}

fn line(name: &str, value: impl Into<Vec<u8>>) -> Field {
    (name.to_owned(), value.into())
}

/// What should go on of a request from a client that isn't trusted.
fn onward_fields(message: &Message) -> Vec<Field> {
    let old = message.start[2] == b"HTTP/1.0";
    let counted = [&b"TRACE"[..], b"OPTIONS"].contains(&message.start[0].as_slice());
    let mut fields = end_to_end(message);
    fields.retain(|(name, _)| {
        !(is_forwarding(name)
            || name == "host"
            || name == "content-length"
            || (name == "expect" && old)
            || (name == "max-forwards" && counted))
    });
    let absolute = message.absolute().map(|(authority, _)| authority.into_bytes());
    let host = message.values("host").first().map(|value| value.to_vec());
    let authority = absolute.or(host);
    fields.push(line("host", authority.clone().unwrap_or(b"backend:1".to_vec())));
    if let Some(authority) = authority {
        fields.push(line("x-forwarded-host", authority));
    }
    fields.push(line("x-forwarded-for", "192.0.2.7"));
    fields.push(line("x-forwarded-proto", "http"));
    fields.push(line("x-request-id", "id"));
    fields.extend(framing_field(message));
    fields.extend(connection_fields(message, old));
    // It counts as long as it isn't nominated away as a line; the number was read before.
    let counts = message.values("max-forwards");
    let least = counts
        .iter()
        .filter_map(|count| std::str::from_utf8(count).ok()?.parse::<u64>().ok())
        .min();
    if let (true, Some(least)) = (counted, least) {
        fields.push(line("max-forwards", least.saturating_sub(1).to_string()));
    }
    fields
}

fn framing_field(message: &Message) -> Option<Field> {
    match message.body {
        Body::Length(length) => {
            let plain = length.to_string().into_bytes();
            Some(("content-length".to_owned(), plain))
        }
        Body::Chunked => Some(line("transfer-encoding", "chunked")),
        Body::None | Body::UntilClose => None,
    }
}

/// What should be said about the connection to the backend.
fn connection_fields(message: &Message, old: bool) -> Vec<Field> {
    let options = second::elements(&message.fields, "connection");
    let has = |name: &str, what: &str| {
        second::elements(&message.fields, name).iter().any(|element| element == what)
    };
    let upgrades = message.start[0] == b"GET"
        && !old
        && options.iter().any(|option| option == "upgrade")
        && has("upgrade", "websocket")
        && [Body::None, Body::Length(0)].contains(&message.body);
    match (upgrades, has("te", "trailers")) {
        (false, false) => vec![],
        (true, false) => vec![line("connection", "Upgrade"), line("upgrade", "websocket")],
        (false, true) => vec![line("connection", "TE"), line("te", "trailers")],
        (true, true) => vec![
            line("connection", "Upgrade, TE"),
            line("upgrade", "websocket"),
            line("te", "trailers"),
        ],
    }
}

fn sorted(mut fields: Vec<Field>) -> Vec<Field> {
    fields.sort();
    fields
}

/// Checks a response head, as the answer to GET or HEAD, for a client of 1.1 or 1.0.
pub(crate) fn check_response(input: &[u8], to_head: bool, old_client: bool, cuts: &[u8]) {
    let method = if to_head { Method::Head } else { Method::Get };
    let mut head = ResponseHead::default();
    let whole = head.parse(input, method, &LIMITS, &mut Progress::default());
    let mut dripping = (ResponseHead::default(), Progress::default());
    check_dripping(input, cuts, whole, |input| {
        let (head, progress) = &mut dripping;
        head.parse(input, method, &LIMITS, progress)
    });
    let other = second::response(input, to_head).filter(within_limits);
    assert_eq!(whole == Parsed::Complete, other.is_some(), "{whole:?}, but {other:?}");
    let Some(other) = other else { return };
    assert_eq!(head.len(), other.length);
    assert!(same_framing(head.framing(), other.body));

    let client_version = if old_client { Version::Http10 } else { Version::Http11 };
    let delivery = Delivery::of(head.framing(), client_version);
    let close = delivery.ends_with_close(head.framing());
    let mut out = Vec::new();
    let (via, date) = (Some("us"), "now");
    let how = ForwardResponse { client_version, close, delivery, upgrade: false, via, date };
    write_response(&mut out, input, &head, &how);
    let written = second::response(&out, to_head).expect("what is written is a response");
    assert_eq!(written.length, out.len());
    assert_eq!(written.start[0], b"HTTP/1.1");
    assert_eq!(written.start[1..], other.start[1..]);
    let mut want = onward_response(&other, old_client, close);
    let version = if other.start[0] == b"HTTP/1.0" { "1.0" } else { "1.1" };
    want.push(line("via", format!("{version} us")));
    if other.values("date").is_empty() {
        want.push(line("date", "now"));
    }
    assert_eq!(sorted(written.fields), sorted(want));
}

fn onward_response(message: &Message, old_client: bool, close: bool) -> Vec<Field> {
    let mut fields = end_to_end(message);
    let dechunked = old_client && message.body == Body::Chunked;
    let status = message.start[1].as_slice();
    let bodiless = status.starts_with(b"1") || status == b"204";
    fields.retain_mut(|(name, value)| {
        if name == "content-length" {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
            *value = number.expect("a number").to_string().into_bytes();
            return !bodiless;
        }
        !(dechunked && name == "trailer")
    });
    if !old_client && [Body::Chunked, Body::UntilClose].contains(&message.body) {
        fields.push(line("transfer-encoding", "chunked"));
    }
    if close {
        fields.push(line("connection", "close"));
    } else if old_client {
        fields.push(line("connection", "keep-alive"));
    }
    fields
}

/// Feeds a chunked body in the pieces that `cuts` makes: what goes on, how much was consumed, and
/// whether it ended.
fn walk(input: &[u8], keep_framing: bool, cuts: &[u8]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let mut body = BodyReader::new(Framing::Chunked, CHUNKS);
    let (mut whole, mut start) = (Vec::new(), 0);
    for end in ends(input.len(), cuts) {
        let piece = &input[start..end];
        let mut out = Vec::new();
        let fed = body.feed(piece, keep_framing, &mut out)?;
        whole.extend_from_slice(if fed.verbatim { &piece[..fed.consumed] } else { &out });
        assert!(!fed.verbatim || out.is_empty());
        start += fed.consumed;
        if fed.done {
            break;
        }
        assert_eq!(start, end);
    }
    Ok((whole, start, body.is_done()))
}

/// Checks a chunked body (up to 16 KiB: beyond, the bound on framing is ours alone).
pub(crate) fn check_chunked(input: &[u8], cuts: &[u8]) {
    let input = &input[..input.len().min(16 * 1024)];
    let kept = walk(input, true, cuts);
    assert_eq!(kept, walk(input, true, &[]));
    let bare = walk(input, false, cuts);
    assert_eq!(bare, walk(input, false, &[]));
    let done = matches!(kept, Ok((_, _, true)));
    let other = second::chunked(input);
    assert_eq!(done, other.is_some(), "{kept:?}, but {other:?}");
    let (Ok((kept, consumed, true)), Some((data, trailers, length))) = (kept, other) else {
        return;
    };
    assert_eq!(consumed, length);
    assert_eq!(bare, Ok((data.clone(), length, true)));
    // What goes on reads the same, and it is in plain form: it would go on as it is.
    let (data_again, trailers_again, length) = second::chunked(&kept).expect("a body");
    assert_eq!((data_again, length), (data, kept.len()));
    let fine: Vec<Field> = trailers.into_iter().filter(|field| is_trailer(&field.0)).collect();
    assert_eq!(trailers_again, fine);
    assert_eq!(walk(&kept, true, cuts), Ok((kept.clone(), kept.len(), true)));
}

fn is_trailer(name: &str) -> bool {
    const OTHERS: &[&str] = &["authorization", "cookie", "max-forwards", "set-cookie", "trailer"];
    !(HOP_BY_HOP.contains(&name)
        || PROTECTED.contains(&name)
        || OTHERS.contains(&name)
        || is_forwarding(name)
        || is_alias(name))
}
