//! Heads written anew for the other side.
//!
//! The first line goes on in our version. Lines go on as runs between those that are left out,
//! usually in one copy, the first one included where it is spelled as we would spell it: each of
//! their bytes was checked when they were read.
//! What speaks about this connection ends here (`name`, `hop`), framing is said again in plain form,
//! and our own lines come last, so that nothing in the message can take them away.
//!
//! Not here: what is to be said. The caller decides; see [`ForwardRequest`] and
//! [`ForwardResponse`].

use std::net::IpAddr;

use crate::forwarded::{self, Scheme};
use crate::http1::framing::Framing;
use crate::http1::grammar::push_number;
use crate::http1::head::{Fields, Line, Version};
use crate::http1::name::Known;
use crate::http1::request::RequestHead;
use crate::http1::response::ResponseHead;

/// Room for the lines that are added, so that a head is written into memory taken once.
const ADDED_BYTES: usize = 320;

/// How a request goes on.
#[derive(Debug, Clone, Copy)]
pub struct ForwardRequest<'a> {
    /// The client's address; `None` on a Unix socket.
    pub client: Option<IpAddr>,
    /// How the client speaks to us.
    pub scheme: Scheme,
    /// Whether the client is a proxy whose forwarding headers are believed.
    pub trusted: bool,
    /// The request's id, if it gets one; a trusted client's own comes first. Must be of bytes that
    /// may stand in a value.
    pub request_id: Option<&'a [u8]>,
    /// The `Host` for an HTTP/1.0 request that names none (the backend's address): in the HTTP/1.1
    /// that goes on there has to be one.
    pub default_host: &'a str,
    /// Whether the switch that the request asks for ([`RequestHead::upgrade`]) is asked for.
    pub upgrade: bool,
    /// Whether the backend is told that no further request follows.
    pub close: bool,
    /// Our name in `Via`, if it is to be there.
    pub via: Option<&'a str>,
}

/// What happens to the body of a response on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It keeps its framing.
    AsIs,
    /// It had none but the connection's end, and gets chunks.
    Chunk,
    /// It loses its chunks, and ends with the connection: for HTTP/1.0 clients.
    Dechunk,
}

impl Delivery {
    /// What has to happen to a body of this framing for a client of this version.
    ///
    /// A body of unknown length gets chunks where the client knows them: its connection can be kept
    /// then, and it can tell a whole body from one that broke off.
    pub const fn of(framing: Framing, client: Version) -> Delivery {
        match (framing, client) {
            (Framing::UntilClose, Version::Http11) => Delivery::Chunk,
            (Framing::Chunked, Version::Http10) => Delivery::Dechunk,
            _ => Delivery::AsIs,
        }
    }

    /// Whether the client can tell the end only by the connection's.
    pub const fn ends_with_close(self, framing: Framing) -> bool {
        match self {
            Delivery::AsIs => matches!(framing, Framing::UntilClose),
            Delivery::Chunk => false,
            Delivery::Dechunk => true,
        }
    }
}

/// How a response goes on.
#[derive(Debug, Clone, Copy)]
pub struct ForwardResponse<'a> {
    /// The client's version.
    pub client_version: Version,
    /// Whether the client is told that the connection closes.
    pub close: bool,
    /// What happens to the body.
    pub delivery: Delivery,
    /// Whether this is the 101 that was asked for.
    pub upgrade: bool,
    /// Our name in `Via`, if it is to be there.
    pub via: Option<&'a str>,
    /// The time of day, for a response that doesn't say when it was made (RFC 9110 §6.6.1). Empty
    /// if nobody knows it.
    pub date: &'a str,
}

/// Writes the head of a request for a backend, as HTTP/1.1 in origin form.
///
/// `input` is what `head` was parsed from.
pub fn write_request(
    out: &mut Vec<u8>,
    input: &[u8],
    head: &RequestHead,
    how: &ForwardRequest<'_>,
) {
    out.reserve(head.len() + ADDED_BYTES + how.default_host.len());
    let start = head.plain_line().unwrap_or_else(|| {
        write_request_line(out, input, head);
        head.fields().start as usize
    });
    copy_runs(out, input, start, head.fields(), |line| {
        line.known != Known::Other && request_line_ends_here(line.known, head, how.trusted)
    });
    write_host(out, input, head, how);
    write_request_framing(out, head);
    if let Some(left) = head.max_forwards() {
        out.extend_from_slice(b"Max-Forwards: ");
        push_number(out, left.saturating_sub(1));
        out.extend_from_slice(b"\r\n");
    }
    forwarded::write(out, input, head.fields(), head.authority(input), how);
    write_via(out, head.version(), how.via);
    write_request_connection(out, head, how);
    out.extend_from_slice(b"\r\n");
}

fn write_request_line(out: &mut Vec<u8>, input: &[u8], head: &RequestHead) {
    out.extend_from_slice(head.method_name(input));
    out.push(b' ');
    out.extend_from_slice(head.path(input));
    out.extend_from_slice(head.query(input));
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

fn request_line_ends_here(known: Known, head: &RequestHead, trusted: bool) -> bool {
    match known {
        Known::Host => head.is_absolute(),
        Known::ContentLength => !head.has_plain_length(),
        // An HTTP/1.0 client doesn't know interim responses, so it can't have meant it.
        Known::Expect => head.version() == Version::Http10,
        Known::MaxForwards => head.max_forwards().is_some(),
        known => known.is_hop_by_hop() || forwarded::takes_out(known, trusted),
    }
}

/// Writes `Host` where its line was not copied.
fn write_host(out: &mut Vec<u8>, input: &[u8], head: &RequestHead, how: &ForwardRequest<'_>) {
    let authority = head.authority(input);
    if !authority.is_empty() && !head.is_absolute() {
        return;
    }
    let host = if authority.is_empty() { how.default_host.as_bytes() } else { authority };
    out.extend_from_slice(b"Host: ");
    out.extend_from_slice(host);
    out.extend_from_slice(b"\r\n");
}

fn write_request_framing(out: &mut Vec<u8>, head: &RequestHead) {
    match head.framing() {
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) if !head.has_plain_length() => write_length(out, length),
        _ => {}
    }
}

/// Adds us to the ways that the message came (RFC 9110 §7.6.3): a line of its own behind those
/// that are there is the end of the same list. `version` is what it was received in.
fn write_via(out: &mut Vec<u8>, version: Version, name: Option<&str>) {
    let Some(name) = name else { return };
    out.extend_from_slice(match version {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
    });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes `Date`, unless nobody knows the time.
pub(crate) fn write_date(out: &mut Vec<u8>, date: &str) {
    if !date.is_empty() {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    push_number(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Writes what is said about the connection to the backend. `TE` has to be named in `Connection`
/// (RFC 9110 §10.1.4), as `Upgrade` has (§7.8).
fn write_request_connection(out: &mut Vec<u8>, head: &RequestHead, how: &ForwardRequest<'_>) {
    let upgrade = head.upgrade().filter(|_| how.upgrade);
    let options = [
        (how.close, &b"close"[..]),
        (upgrade.is_some(), b"Upgrade"),
        (head.wants_trailers(), b"TE"),
    ];
    write_options(out, options.into_iter().filter(|option| option.0).map(|option| option.1));
    if let Some(upgrade) = upgrade {
        write_upgrade(out, upgrade.token());
    }
    if head.wants_trailers() {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
}

fn write_options<'a>(out: &mut Vec<u8>, mut options: impl Iterator<Item = &'a [u8]>) {
    let Some(first) = options.next() else { return };
    out.extend_from_slice(b"Connection: ");
    out.extend_from_slice(first);
    for option in options {
        out.extend_from_slice(b", ");
        out.extend_from_slice(option);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_upgrade(out: &mut Vec<u8>, token: &str) {
    out.extend_from_slice(b"Upgrade: ");
    out.extend_from_slice(token.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a final response, or of the 101 that was asked for, for a client.
///
/// `input` is what `head` was parsed from.
pub fn write_response(
    out: &mut Vec<u8>,
    input: &[u8],
    head: &ResponseHead,
    how: &ForwardResponse<'_>,
) {
    let start = write_status_line(out, input, head);
    copy_runs(out, input, start, head.fields(), |line| match line.known {
        Known::Other => false,
        Known::ContentLength => !head.has_plain_length() || head.named_length().is_none(),
        // Without chunks there is no place for what it announces.
        Known::Trailer => how.delivery == Delivery::Dechunk,
        known => known.is_hop_by_hop(),
    });
    match (how.delivery, head.framing(), head.named_length()) {
        (Delivery::Chunk, _, _) | (Delivery::AsIs, Framing::Chunked, _) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        (_, _, Some(length)) if !head.has_plain_length() => write_length(out, length),
        _ => {}
    }
    if !head.has_date() {
        write_date(out, how.date);
    }
    write_via(out, head.version(), how.via);
    if how.upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
        write_upgrade(out, head.upgrade().map_or("websocket", crate::upgrade::Upgrade::token));
    } else {
        write_persistence(out, how.client_version, how.close);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an interim response for a client. (Not for HTTP/1.0 clients, which know none.)
pub fn write_interim(out: &mut Vec<u8>, input: &[u8], head: &ResponseHead) {
    let start = write_status_line(out, input, head);
    copy_runs(out, input, start, head.fields(), |line| {
        line.known == Known::ContentLength || line.known.is_hop_by_hop()
    });
    out.extend_from_slice(b"\r\n");
}

/// Writes the status line, unless it goes on as it is; says where copying begins.
#[inline]
fn write_status_line(out: &mut Vec<u8>, input: &[u8], head: &ResponseHead) -> usize {
    out.reserve(head.len() + ADDED_BYTES);
    if head.has_plain_line() {
        return 0;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, u64::from(head.status()));
    out.push(b' ');
    out.extend_from_slice(head.phrase(input));
    out.extend_from_slice(b"\r\n");
    head.fields().start as usize
}

/// Says whether the connection stays, where the version alone doesn't (RFC 9112 §9.3).
pub(crate) fn write_persistence(out: &mut Vec<u8>, client: Version, close: bool) {
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if client == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}

/// Copies what begins at `run`, and all lines but those that end here.
#[inline]
fn copy_runs(
    out: &mut Vec<u8>,
    input: &[u8],
    mut run: usize,
    fields: &Fields,
    ends_here: impl Fn(&Line) -> bool,
) {
    for line in &fields.lines {
        if ends_here(line) {
            out.extend_from_slice(&input[run..line.start as usize]);
            run = line.end as usize;
        }
    }
    out.extend_from_slice(&input[run..fields.end as usize]);
}

#[cfg(test)]
mod tests;
