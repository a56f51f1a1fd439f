//! What a response head says.
//!
//! The rules for responses are those for requests, and a backend gets no more leniency than a
//! client: what it sends is what our client's parser will see. Which request was answered decides
//! whether there is a body at all (RFC 9112 §6.3).
//!
//! Not here: whether an interim response or a switch was asked for (the caller knows the request).

use crate::hop::{self, Options};
use crate::http1::body::BodyReader;
use crate::http1::chunk::ChunkLimits;
use crate::http1::framing::{Framing, Transfer};
use crate::http1::grammar;
use crate::http1::head::{line_end, Fields, Limits, Line, Notes, Parsed, Progress, Span, Stop};
use crate::http1::head::{read_version, Version};
use crate::http1::method::Method;
use crate::http1::name::Known;
use crate::http1::strict;
use crate::refusal::Refusal;
use crate::upgrade::Upgrade;

/// A response head, and the memory for reading the next one.
///
/// Everything it answers with bytes is a range of the input that it was parsed from.
///
/// ```
/// # use fairlead_proto::http1::*;
/// let mut head = ResponseHead::default();
/// let limits = Limits { head: 64 * 1024, headers: 256 };
/// let input = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// let parsed = head.parse(input, Method::Get, &limits, &mut Progress::default());
/// assert_eq!(parsed, Parsed::Complete);
/// assert_eq!((head.status(), head.framing()), (200, Framing::Length(2)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    fields: Fields,
    facts: Facts,
    len: u32,
}

/// What is read off the status line and, in passing, off the header lines.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    version: Version,
    /// Whether the status line is spelled as we spell it.
    is_plain: bool,
    status: u16,
    phrase: Span,
    transfer: Transfer,
    framing: Framing,
    options: Options,
    keep_alive_seconds: Option<u32>,
    switch: Option<Upgrade>,
    has_switch: bool,
    has_date: bool,
}

impl ResponseHead {
    /// Reads the response head at the start of `input`, which answers a request of this method.
    ///
    /// Refusals are of kind `BadResponse`, `HeadTooLarge` or `TooManyHeaders`.
    pub fn parse(
        &mut self,
        input: &[u8],
        method: Method,
        limits: &Limits,
        progress: &mut Progress,
    ) -> Parsed {
        let window = limits.window(input);
        if progress.is_early(window, limits) {
            return Parsed::Partial;
        }
        let refusal = match self.read(window, method, limits) {
            Ok(()) => {
                *progress = Progress::default();
                return Parsed::Complete;
            }
            Err(Stop::Partial) if window.len() < limits.bytes() => {
                progress.parsed_in_vain(window);
                return Parsed::Partial;
            }
            Err(Stop::Partial) => strict::HEAD_TOO_LARGE,
            Err(Stop::Refused(refusal)) => refusal,
        };
        *progress = Progress::default();
        Parsed::Refused(refusal.in_response())
    }

    fn read(&mut self, input: &[u8], method: Method, limits: &Limits) -> Result<(), Stop> {
        self.facts = Facts::default();
        let at = self.facts.read_line(input)?;
        self.len = self.fields.read(input, at, limits, &mut self.facts)? as u32;
        self.facts.finish(method)?;
        self.facts.options.mark_in_response(&mut self.fields.lines, input);
        Ok(())
    }

    /// Bytes of the head, with the empty line at its end.
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The header lines.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The status, 100 to 599.
    pub fn status(&self) -> u16 {
        self.facts.status
    }

    /// Whether another response follows to the same request: 1xx, but not 101.
    pub fn is_interim(&self) -> bool {
        self.facts.status < 200 && self.facts.status != 101
    }

    /// The reason phrase; may be empty.
    pub fn phrase<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        self.facts.phrase.of(input)
    }

    /// Whether the status line can go on as it is.
    pub(crate) fn has_plain_line(&self) -> bool {
        self.facts.is_plain
    }

    /// The backend's version.
    pub fn version(&self) -> Version {
        self.facts.version
    }

    /// Where the body ends.
    pub fn framing(&self) -> Framing {
        self.facts.framing
    }

    /// A reader at the start of the body, which knows what `Connection` takes out of its trailers.
    /// Chunks have to keep within `limits`.
    pub fn body(&self, input: &[u8], limits: ChunkLimits) -> BodyReader {
        let nominated = || self.facts.options.nominated(&self.fields.lines, input);
        BodyReader::without(self.framing(), limits, nominated)
    }

    /// Whether it says when it was made.
    pub(crate) fn has_date(&self) -> bool {
        self.facts.has_date
    }

    /// The length that was named and may go on: that of the body, or with HEAD and 304 the one it
    /// would have had.
    pub(crate) fn named_length(&self) -> Option<u64> {
        self.facts.transfer.length.filter(|_| !is_bodiless(self.facts.status))
    }

    /// Whether the line with the length can go on as it is.
    pub(crate) fn has_plain_length(&self) -> bool {
        self.facts.transfer.is_plain
    }

    /// Whether the backend will take another request on this connection once the body is over.
    /// Never with a body that ends with the connection, or after a switch.
    pub fn keep_alive(&self) -> bool {
        let options = &self.facts.options;
        !options.close
            && (self.facts.version == Version::Http11 || options.keep_alive)
            && self.facts.framing != Framing::UntilClose
            && self.facts.status != 101
    }

    /// For how many seconds the backend says it keeps the connection when idle
    /// (`Keep-Alive: timeout=`).
    pub fn keep_alive_seconds(&self) -> Option<u32> {
        self.facts.keep_alive_seconds
    }

    /// What the backend switched to: a 101 that names one protocol, which is one we pass on, in
    /// `Upgrade` and the switch in `Connection`. A 101 without it is no answer to anything.
    pub fn upgrade(&self) -> Option<Upgrade> {
        let fits = self.facts.status == 101 && self.facts.options.upgrade;
        self.facts.switch.filter(|_| fits)
    }
}

/// Whether responses of this status have no body whatever was asked, nor a length.
fn is_bodiless(status: u16) -> bool {
    status < 200 || status == 204
}

impl Facts {
    /// Reads the status line; says where the header lines begin.
    fn read_line(&mut self, input: &[u8]) -> Result<usize, Stop> {
        let (version, at) = read_version(input, 0).map_err(|stop| match stop {
            Stop::Partial => Stop::Partial,
            Stop::Refused(_) => strict::NOT_HTTP.into(),
        })?;
        self.version = version;
        let (status, at) = read_status(input, at)?;
        self.status = status;
        // RFC 9112 §4 wants a space behind the status even if no phrase follows. Many servers leave
        // it out; such a line is written anew.
        let phrase = at + usize::from(input.get(at) == Some(&b' '));
        let end = grammar::value_end(input, phrase);
        if phrase == at && end > at {
            return Err(strict::BAD_STATUS.into());
        }
        self.phrase = Span::new(phrase, end);
        self.is_plain = version == Version::Http11 && input[7] == b'1' && phrase > at;
        line_end(input, end).map_err(|stop| match stop {
            Stop::Refused(strict::CONTROL_BYTE) => strict::BAD_PHRASE.into(),
            other => other,
        })
    }

    /// Judges what only the whole head can tell, and finds the framing (RFC 9112 §6.3).
    fn finish(&mut self, method: Method) -> Result<(), Refusal> {
        self.transfer.check(self.version)?;
        if is_bodiless(self.status) && self.transfer.is_chunked {
            return Err(strict::CODING_WITHOUT_BODY);
        }
        self.framing = if is_bodiless(self.status) || self.status == 304 || method == Method::Head {
            Framing::None
        } else {
            self.transfer.named().unwrap_or(Framing::UntilClose)
        };
        Ok(())
    }
}

impl Notes for Facts {
    #[inline]
    fn note(&mut self, line: &Line, input: &[u8]) -> Result<(), Refusal> {
        let value = line.value.of(input);
        match line.known {
            Known::Connection => self.options.note(value)?,
            Known::ContentLength => self.transfer.note_length(value)?,
            Known::TransferEncoding => self.transfer.note_coding(value)?,
            Known::KeepAlive => {
                let seconds = hop::keep_alive_timeout(value);
                self.keep_alive_seconds = self.keep_alive_seconds.or(seconds);
            }
            Known::Upgrade => {
                // Two lines are two protocols: that is no acceptance of one.
                self.switch = Upgrade::accepted(value).filter(|_| !self.has_switch);
                self.has_switch = true;
            }
            Known::Date => self.has_date = true,
            _ => {}
        }
        Ok(())
    }
}

/// Reads a space and three digits at `at`; says where they end.
fn read_status(input: &[u8], at: usize) -> Result<(u16, usize), Stop> {
    let found = &input[at..input.len().min(at + 4)];
    let fits = |(place, byte): (usize, &u8)| match place {
        0 => *byte == b' ',
        1 => (b'1'..=b'5').contains(byte),
        _ => byte.is_ascii_digit(),
    };
    if !found.iter().enumerate().all(fits) {
        return Err(strict::BAD_STATUS.into());
    }
    let [_, hundreds, tens, ones] = *found else {
        return Err(Stop::Partial);
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    Ok((digit(hundreds) * 100 + digit(tens) * 10 + digit(ones), at + 4))
}

#[cfg(test)]
mod tests;
