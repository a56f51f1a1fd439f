//! One request and its answer, by the data plane's own parser.
//!
//! Bounded in bytes and in time: at the control socket whoever may connect is the operator, but a
//! program of theirs that stops in the middle must not keep the next one out for long. Each connection serves one request.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use fairlead_proto::http1::{Framing, Limits, Parsed, Progress, RequestHead};

use socket2::Socket;

use super::answer::Answer;

/// A head's bytes and lines. A Unix socket's path, percent-encoded, has 324 bytes.
const HEAD: Limits = Limits { head: 8 * 1024, headers: 64 };

/// Bytes of a body that is read. A wish has 40.
const BODY: usize = 4 * 1024;

/// Bytes of a longer body that are thrown away, so that its sender gets to read the answer.
const THROWN_AWAY: usize = 1024 * 1024;

/// How long the sender of a body that nobody reads may pause in it.
const SILENCE: Duration = Duration::from_millis(50);

/// How long an answer may take: a thousand pools make megabytes.
const ANSWER: Duration = Duration::from_secs(5);

const PIECE: usize = 4 * 1024;

/// A request as far as it matters here.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) query: &'a [u8],
    pub(super) accept: &'a [u8],
    pub(super) host: &'a [u8],
    /// Whether a browser says for which page it asks.
    pub(super) has_origin: bool,
    /// `None` if it is too long, or of a length that was not told.
    pub(super) body: Option<&'a [u8]>,
}

/// Reads a request, has it answered, and closes. A client that leaves is nobody's concern.
pub(super) fn serve(
    mut stream: Socket,
    patience: Duration,
    answer: impl FnOnce(&Request<'_>) -> Answer,
) {
    // What a client does can only end its own connection.
    let _ = exchange(&mut stream, Instant::now() + patience, answer);
}

fn exchange(
    stream: &mut Socket,
    end: Instant,
    answer: impl FnOnce(&Request<'_>) -> Answer,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let (mut input, mut head, mut progress) =
        (Vec::new(), RequestHead::default(), Progress::default());
    loop {
        match head.parse(&input, &HEAD, &mut progress) {
            Parsed::Complete => break,
            Parsed::Partial if fill(stream, &mut input, end)? > 0 => {}
            // Whoever only looked whether somebody listens.
            Parsed::Partial => return Ok(()),
            Parsed::Refused(_) => {
                throw_away(stream, end);
                return write(stream, &Answer::bad_request(), false);
            }
        }
    }
    let length = read_body(stream, &mut input, &head, end)?;
    let method = head.method_name(&input);
    let request = Request {
        method,
        path: head.path(&input),
        query: head.query(&input),
        accept: head.fields().find(&input, b"accept").unwrap_or_default(),
        host: head.fields().find(&input, b"host").unwrap_or_default(),
        has_origin: head.fields().find(&input, b"origin").is_some(),
        body: length.map(|length| &input[head.len()..head.len() + length]),
    };
    write(stream, &answer(&request), method == b"HEAD")
}

/// Reads the body behind its head; how long it is. One that isn't kept is read as far as it helps.
fn read_body(
    stream: &mut Socket,
    input: &mut Vec<u8>,
    head: &RequestHead,
    end: Instant,
) -> io::Result<Option<usize>> {
    let length = match head.framing() {
        Framing::None => 0,
        Framing::Length(length) if length <= BODY as u64 => length as usize,
        _ => {
            throw_away(stream, end);
            return Ok(None);
        }
    };
    while input.len() < head.len() + length {
        if fill(stream, input, end)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(length))
}

fn throw_away(stream: &mut Socket, end: Instant) {
    let mut thrown = Vec::new();
    let mut total = 0;
    while total < THROWN_AWAY {
        match fill(stream, &mut thrown, end.min(Instant::now() + SILENCE)) {
            Ok(count) if count > 0 => total += count,
            _ => return,
        }
        thrown.clear();
    }
}

/// Reads once, until `end`; how many bytes came.
fn fill(stream: &mut Socket, input: &mut Vec<u8>, end: Instant) -> io::Result<usize> {
    stream.set_read_timeout(Some(left(end)?))?;
    let mut piece = [0; PIECE];
    let count = stream.read(&mut piece)?;
    input.extend_from_slice(&piece[..count]);
    Ok(count)
}

fn write(stream: &mut Socket, answer: &Answer, is_head: bool) -> io::Result<()> {
    let end = Instant::now() + ANSWER;
    let mut text = answer.head().into_bytes();
    if !is_head {
        text.extend_from_slice(&answer.body);
    }
    let mut rest = &text[..];
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(end)?))?;
        rest = &rest[stream.write(rest)?..];
    }
    Ok(())
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}
