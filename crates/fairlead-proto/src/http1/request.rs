//! What a request head says.
//!
//! Rules of this file
//! 1. A request is read whole or refused; no fact is there before `Complete`.
//! 2. Every fact is about the bytes that will be passed on.
//! 3. What ends at this hop is understood here and nowhere later.
//!
//! Not here: whether the request is wanted (routes, limits of bodies), and the body's bytes.

use crate::hop::Options;
use crate::http1::body::BodyReader;
use crate::http1::chunk::ChunkLimits;
use crate::http1::framing::{Framing, Transfer};
use crate::http1::grammar;
use crate::http1::head::{line_end, Fields, Limits, Line, Notes, Parsed, Progress, Span, Stop};
use crate::http1::head::{read_version, Version};
use crate::http1::method::Method;
use crate::http1::name::Known;
use crate::http1::strict;
use crate::http1::target::{self, Target};
use crate::refusal::Refusal;
use crate::upgrade::Upgrade;

/// Empty lines before a request line that are passed over: RFC 9112 §2.2 wants one (old clients
/// send it after a body), and two cost nothing.
pub const EMPTY_LINES: usize = 2;

/// A request head, and the memory for reading the next one.
///
/// Everything it answers with bytes is a range of the input that it was parsed from; that input has
/// to be handed in again, unchanged.
///
/// ```
/// # use fairlead_proto::http1::*;
/// let mut head = RequestHead::default();
/// let limits = Limits { head: 64 * 1024, headers: 128 };
/// let input = b"POST /jobs?dry HTTP/1.1\r\nHost: api:80\r\nContent-Length: 2\r\n\r\nok";
/// assert_eq!(head.parse(input, &limits, &mut Progress::default()), Parsed::Complete);
/// assert_eq!(head.method(), Method::Post);
/// assert_eq!(head.path(input), b"/jobs");
/// assert_eq!(head.host(input), b"api");
/// assert_eq!(head.framing(), Framing::Length(2));
/// assert_eq!(&input[head.len()..], b"ok");
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    fields: Fields,
    facts: Facts,
    len: u32,
}

/// What is read off the request line and, in passing, off the header lines.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    method: Method,
    method_name: Span,
    target: Target,
    version: Version,
    /// Whether the version is spelled as we spell it.
    is_plain: bool,
    /// Whether the request line was read to its end.
    has_line: bool,
    transfer: Transfer,
    options: Options,
    has_host: bool,
    /// Host and port that count; empty if there are none.
    authority: Span,
    /// Bytes of the host's name at the start of it.
    host_length: u32,
    expects: bool,
    offer: Option<Upgrade>,
    trailers: bool,
    max_forwards: Option<u64>,
}

impl RequestHead {
    /// Reads the request head at the start of `input`. The input may be longer than the head.
    ///
    /// A head that can't be whole within `limits` is refused as soon as that is clear.
    pub fn parse(&mut self, input: &[u8], limits: &Limits, progress: &mut Progress) -> Parsed {
        let window = limits.window(input);
        if progress.is_early(window, limits) {
            return Parsed::Partial;
        }
        let refusal = match self.read(window, limits) {
            Ok(()) => {
                *progress = Progress::default();
                return Parsed::Complete;
            }
            Err(Stop::Partial) if window.len() < limits.bytes() => {
                progress.parsed_in_vain(window);
                return Parsed::Partial;
            }
            Err(Stop::Partial) if self.facts.has_line => strict::HEAD_TOO_LARGE,
            Err(Stop::Partial) => strict::REQUEST_LINE_TOO_LONG,
            Err(Stop::Refused(refusal)) => refusal,
        };
        *progress = Progress::default();
        Parsed::Refused(refusal)
    }

    fn read(&mut self, input: &[u8], limits: &Limits) -> Result<(), Stop> {
        self.facts = Facts::default();
        let start = skip_empty_lines(input)?;
        let at = self.facts.read_line(input, start)?;
        self.len = self.fields.read(input, at, limits, &mut self.facts)? as u32;
        self.facts.finish()?;
        self.facts.options.mark_in_request(&mut self.fields.lines, input);
        Ok(())
    }

    /// Bytes of the head, with the empty line at its end and any before it.
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The header lines.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The method. Also of a head that was refused, if that was read by then; else GET.
    pub fn method(&self) -> Method {
        self.facts.method
    }

    /// The method's name.
    pub fn method_name<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        self.facts.method_name.of(input)
    }

    /// The request target as it was sent.
    pub fn target<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        self.facts.target.whole.of(input)
    }

    /// The path as it goes on, without query; `*` for a request about the server itself.
    pub fn path<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        self.facts.target.path(input, self.facts.method)
    }

    /// The query with its question mark; empty if there is none.
    pub fn query<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        self.facts.target.query.of(input)
    }

    /// Host and port as they go on: those of the target if it has them, else those of `Host`.
    /// Empty for an HTTP/1.0 request that names none.
    pub fn authority<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        self.facts.authority.of(input)
    }

    /// The host without port, in the case it came in; an IPv6 address with its brackets. Empty for
    /// an HTTP/1.0 request that names none.
    pub fn host<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        &self.authority(input)[..self.facts.host_length as usize]
    }

    /// Whether the target is in absolute form, so that `Host` has to be replaced.
    pub(crate) fn is_absolute(&self) -> bool {
        !self.facts.target.authority.is_empty()
    }

    /// Whether the target is in absolute form and its scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.facts.target.is_https
    }

    /// Where the request line begins, if it can go on as it is: in origin form (or `*`), with the
    /// version that we write.
    pub(crate) fn plain_line(&self) -> Option<usize> {
        let is_plain = self.facts.is_plain && !self.is_absolute();
        is_plain.then_some(self.facts.method_name.start as usize)
    }

    /// The client's version.
    pub fn version(&self) -> Version {
        self.facts.version
    }

    /// Where the body ends; never `UntilClose`.
    pub fn framing(&self) -> Framing {
        self.facts.transfer.named().unwrap_or_default()
    }

    /// A reader at the start of the body, which knows what `Connection` takes out of its trailers.
    /// Chunks have to keep within `limits`.
    pub fn body(&self, input: &[u8], limits: ChunkLimits) -> BodyReader {
        let nominated = || self.facts.options.nominated(&self.fields.lines, input);
        BodyReader::without(self.framing(), limits, nominated)
    }

    /// Whether the line with the length can go on as it is.
    pub(crate) fn has_plain_length(&self) -> bool {
        self.facts.transfer.is_plain
    }

    /// Whether the client can send another request on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        let options = &self.facts.options;
        !options.close && (self.facts.version == Version::Http11 || options.keep_alive)
    }

    /// Whether the client waits for `100 Continue` before its body. Never with HTTP/1.0, whose
    /// expectation has to be ignored (RFC 9110 §10.1.1), or without a body.
    pub fn expect_continue(&self) -> bool {
        self.facts.expects && self.facts.version == Version::Http11 && !self.framing().is_empty()
    }

    /// The protocol switch that the request asks for and that may be passed on: in a GET of
    /// HTTP/1.1 without a body, and named in `Connection` too.
    pub fn upgrade(&self) -> Option<Upgrade> {
        let fits = self.facts.method == Method::Get
            && self.facts.version == Version::Http11
            && self.facts.options.upgrade
            && self.framing().is_empty();
        self.facts.offer.filter(|_| fits)
    }

    /// Whether the client takes trailers (`TE: trailers`).
    pub fn wants_trailers(&self) -> bool {
        self.facts.trailers
    }

    /// How often TRACE or OPTIONS may still be passed on. At 0 it has to be answered here (RFC 9110
    /// §7.6.2). `None` with other methods, and without the header.
    pub fn max_forwards(&self) -> Option<u64> {
        let counts = matches!(self.facts.method, Method::Trace | Method::Options);
        self.facts.max_forwards.filter(|_| counts)
    }
}

fn skip_empty_lines(input: &[u8]) -> Result<usize, Stop> {
    let mut at = 0;
    while matches!(input.get(at), Some(b'\r' | b'\n')) {
        if at == EMPTY_LINES * 2 {
            return Err(strict::EMPTY_LINES.into());
        }
        at = line_end(input, at)?;
    }
    Ok(at)
}

impl Facts {
    /// Reads the request line; says where the header lines begin.
    fn read_line(&mut self, input: &[u8], start: usize) -> Result<usize, Stop> {
        let method_end = grammar::token_end(input, start);
        match input.get(method_end) {
            None => return Err(Stop::Partial),
            Some(b' ') if method_end > start => {}
            Some(_) => return Err(strict::BAD_METHOD.into()),
        }
        self.method_name = Span::new(start, method_end);
        self.method = Method::of(self.method_name.of(input));
        if self.method == Method::Connect {
            return Err(strict::CONNECT.into());
        }
        let target_start = method_end + 1;
        let target_end = grammar::target_end(input, target_start);
        match input.get(target_end) {
            None => return Err(Stop::Partial),
            Some(b' ') if target_end > target_start => {}
            Some(b'\r' | b'\n') => return Err(strict::NO_VERSION.into()),
            Some(_) => return Err(strict::BAD_TARGET.into()),
        }
        // The version before the form: HTTP/2's preface (`PRI * HTTP/2.0`) is another version first.
        let (version, version_end) = read_version(input, target_end + 1)?;
        self.version = version;
        self.is_plain = version == Version::Http11 && input[version_end - 1] == b'1';
        self.target = Target::read(input, target_start, target_end, self.method)?;
        self.authority = self.target.authority;
        self.host_length = self.target.host_length;
        let end = line_end(input, version_end).map_err(in_version)?;
        self.has_line = true;
        Ok(end)
    }

    /// Judges what only the whole head can tell.
    fn finish(&self) -> Result<(), Refusal> {
        self.transfer.check(self.version)?;
        if !self.has_host && self.version == Version::Http11 {
            return Err(strict::NO_HOST);
        }
        let is_traced = self.method == Method::Trace;
        if is_traced && self.transfer.named().is_some_and(|framing| !framing.is_empty()) {
            return Err(strict::TRACE_BODY);
        }
        Ok(())
    }

    fn note_host(&mut self, value: Span, input: &[u8]) -> Result<(), Refusal> {
        if self.has_host {
            return Err(strict::TWO_HOSTS);
        }
        self.has_host = true;
        // It has to be right even where the target's replaces it.
        let length = target::host_length(value.of(input))?;
        if self.target.authority.is_empty() {
            (self.authority, self.host_length) = (value, length as u32);
        }
        Ok(())
    }

    fn note_expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for expectation in grammar::list(value) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(strict::EXPECTATION);
            }
            self.expects = true;
        }
        Ok(())
    }

    fn note_max_forwards(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if !matches!(self.method, Method::Trace | Method::Options) {
            return Ok(());
        }
        let number = grammar::number(value).ok_or(strict::BAD_MAX_FORWARDS)?;
        let before = self.max_forwards.unwrap_or(u64::MAX);
        self.max_forwards = Some(before.min(number));
        Ok(())
    }
}

impl Notes for Facts {
    #[inline]
    fn note(&mut self, line: &Line, input: &[u8]) -> Result<(), Refusal> {
        let value = line.value.of(input);
        match line.known {
            Known::Host => self.note_host(line.value, input)?,
            Known::Connection => self.options.note(value)?,
            Known::ContentLength => self.transfer.note_length(value)?,
            Known::TransferEncoding => self.transfer.note_coding(value)?,
            Known::Expect => self.note_expectation(value)?,
            Known::Upgrade => self.offer = self.offer.or_else(|| Upgrade::offered(value)),
            Known::MaxForwards => self.note_max_forwards(value)?,
            Known::Te => {
                let mut codings = grammar::list(value);
                self.trailers |= codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What stands behind a version and isn't the end of the line is part of no version.
fn in_version(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(strict::CONTROL_BYTE) => strict::BAD_VERSION.into(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
