//! What simulated clients and backends say to each other: HTTP/1 with an identity in every byte.
//!
//! Rules of this file
//! 1. Each request has an id, each answer a number of its own. Both stand in header lines, and
//!    bodies are made of them, so that a byte in the wrong place is known by its look.
//! 2. It is a second opinion: nothing of `fairlead-proto` is used to read what fairlead wrote. It
//!    reads strictly, and what it can't read is a fault of whoever sent it.

/// The port on which all backends listen.
pub(crate) const PORT: u16 = 80;

/// The Unix socket of a backend.
pub(crate) fn socket_of(host: usize) -> String {
    format!("/run/{host}.sock")
}

/// Whose Unix socket this is.
pub(crate) fn host_of_socket(path: &str) -> Option<usize> {
    path.strip_prefix("/run/")?.strip_suffix(".sock")?.parse().ok()
}

/// The page that takes long.
pub(crate) const POLL_PAGE: &str = "poll";

/// The header line with a request's id.
const ID: &str = "X-Id";
/// The header line with an answer's number.
const NUMBER: &str = "X-Number";
/// The header line with the length of an answer's body.
const LENGTH: &str = "X-Length";

/// Bytes by which a message is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern([u8; 8]);

impl Pattern {
    /// The pattern of this number.
    pub(crate) fn of(number: u64) -> Pattern {
        // The multiplier of SplitMix64's increment: near numbers look nothing alike.
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Pattern((mixed ^ (mixed >> 29)).to_le_bytes())
    }

    /// The eight bytes from `8 * nth` on, as one number.
    fn eight(self, nth: u64) -> u64 {
        let turn = nth as u8 ^ (nth / 256) as u8;
        u64::from_le_bytes(self.0) ^ u64::from_le_bytes([turn; 8])
    }

    /// The bytes from `offset` on.
    pub(crate) fn bytes(self, offset: u64, count: usize) -> Vec<u8> {
        let skip = (offset % 8) as usize;
        let (first, eights) = (offset / 8, (skip + count).div_ceil(8) as u64);
        let mut bytes: Vec<u8> =
            (first..first + eights).flat_map(|nth| self.eight(nth).to_le_bytes()).collect();
        bytes.truncate(skip + count);
        bytes.drain(..skip);
        bytes
    }

    /// Whether `bytes` are the pattern from `offset` on.
    pub(crate) fn matches(self, offset: u64, bytes: &[u8]) -> bool {
        let skip = (offset % 8) as usize;
        let (first, rest) = bytes.split_at(((8 - skip) % 8).min(bytes.len()));
        let eights = rest.chunks_exact(8);
        let last = eights.remainder();
        let (start, end) = (offset.div_ceil(8), offset.div_ceil(8) + eights.len() as u64);
        let is = |nth: u64, skip: usize, part: &[u8]| {
            self.eight(nth).to_le_bytes()[skip..].starts_with(part)
        };
        let whole = |(nth, eight): (u64, &[u8])| {
            eight.try_into().is_ok_and(|eight| u64::from_le_bytes(eight) == self.eight(nth))
        };
        is(offset / 8, skip, first) && (start..).zip(eights).all(whole) && is(end, 0, last)
    }
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The head of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The first line.
    pub(crate) start: String,
    lines: Vec<(String, String)>,
    /// Bytes of it.
    pub(crate) length: usize,
}

impl Head {
    /// Reads a head: `Ok(None)` if it isn't whole, `Err` if it isn't one.
    pub(crate) fn read(input: &[u8]) -> Result<Option<Head>, String> {
        let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&input[..end]).map_err(|_| "a head of no text")?;
        let mut rows = text.split("\r\n");
        let start = rows.next().unwrap_or_default().to_owned();
        let mut lines = Vec::new();
        for row in rows {
            let (name, value) = row.split_once(':').ok_or("a header line without a colon")?;
            lines.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Some(Head { start, lines, length: end + 4 }))
    }

    /// The value of a line.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let is = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.lines.iter().find(is).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// The request's id.
    pub(crate) fn id(&self) -> Option<u64> {
        self.number(ID)
    }

    /// The answer's number and the length of its body.
    pub(crate) fn answer(&self) -> Option<(u64, u64)> {
        Some((self.number(NUMBER)?, self.number(LENGTH)?))
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Whether it asks for the page that takes long.
    pub(crate) fn polls(&self) -> bool {
        let path = self.start.split(' ').nth(1).unwrap_or_default();
        path.ends_with(POLL_PAGE)
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        let mut words = self.start.split(' ');
        let version = words.next()?;
        words.next().filter(|_| version.starts_with("HTTP/1."))?.parse().ok()
    }

    /// Whether it says that the connection ends with this message.
    pub(crate) fn closes(&self) -> bool {
        self.value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn framing(&self) -> Option<Framing> {
        match (self.value("transfer-encoding"), self.number("content-length")) {
            (Some(_), _) => Some(Framing::Chunked),
            (None, length) => length.map(Framing::Length),
        }
    }

    /// The framing of a request's body.
    pub(crate) fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::Length(0))
    }

    /// The framing of the body of an answer to a request with this method.
    pub(crate) fn answer_framing(&self, method: &str) -> Framing {
        let bodyless = method == "HEAD" || matches!(self.status(), Some(204 | 304));
        if bodyless {
            return Framing::Length(0);
        }
        self.framing().unwrap_or(Framing::UntilClose)
    }
}

/// How far a body has been read.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) framing: Framing,
    /// Bytes of data so far.
    pub(crate) data: u64,
    /// Bytes left of the chunk that is being read.
    chunk: u64,
    /// The chunk's end is to come.
    in_chunk: bool,
    pub(crate) done: bool,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Body {
        let done = framing == Framing::Length(0);
        Body { framing, data: 0, chunk: 0, in_chunk: false, done }
    }

    /// Whether the connection's end is the body's.
    pub(crate) fn ends_at_close(&self) -> bool {
        self.done || self.framing == Framing::UntilClose
    }

    /// Takes what belongs to the body from the front of `input` and checks it against `pattern`.
    /// Answers how many bytes were taken.
    pub(crate) fn take(&mut self, input: &[u8], pattern: Pattern) -> Result<usize, String> {
        match self.framing {
            _ if self.done => Ok(0),
            Framing::Length(length) => {
                let count = (input.len() as u64).min(length - self.data) as usize;
                self.check(&input[..count], pattern)?;
                self.done = self.data == length;
                Ok(count)
            }
            Framing::UntilClose => self.check(input, pattern).map(|()| input.len()),
            Framing::Chunked => self.take_chunks(input, pattern),
        }
    }

    fn check(&mut self, bytes: &[u8], pattern: Pattern) -> Result<(), String> {
        if !pattern.matches(self.data, bytes) {
            return Err(format!("a foreign byte after {} bytes of a body", self.data));
        }
        self.data += bytes.len() as u64;
        Ok(())
    }

    fn take_chunks(&mut self, input: &[u8], pattern: Pattern) -> Result<usize, String> {
        let mut at = 0;
        while !self.done && at < input.len() {
            if self.chunk > 0 {
                let count = ((input.len() - at) as u64).min(self.chunk) as usize;
                self.check(&input[at..at + count], pattern)?;
                self.chunk -= count as u64;
                at += count;
                continue;
            }
            let rest = &input[at..];
            let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { break };
            if self.in_chunk {
                if end != 0 {
                    return Err("a chunk longer than it said".into());
                }
                self.in_chunk = false;
                at += 2;
                continue;
            }
            let line = std::str::from_utf8(&rest[..end]).map_err(|_| "a chunk size of no text")?;
            let size = u64::from_str_radix(line, 16).map_err(|_| format!("chunk size {line:?}"))?;
            if size == 0 {
                if rest.len() < end + 4 {
                    break;
                }
                if &rest[end..end + 4] != b"\r\n\r\n" {
                    return Err("unexpected trailers".into());
                }
                self.done = true;
                at += end + 4;
                break;
            }
            self.chunk = size;
            self.in_chunk = true;
            at += end + 2;
        }
        Ok(at)
    }
}

/// Writes a body of `length` bytes of `pattern`, in chunks of `chunk` bytes if it is to have any.
pub(crate) fn write_body(pattern: Pattern, length: usize, chunk: Option<usize>) -> Vec<u8> {
    let Some(chunk) = chunk else { return pattern.bytes(0, length) };
    let mut out = Vec::new();
    let mut offset = 0;
    while offset < length {
        let count = chunk.max(1).min(length - offset);
        out.extend_from_slice(format!("{count:x}\r\n").as_bytes());
        out.extend_from_slice(&pattern.bytes(offset as u64, count));
        out.extend_from_slice(b"\r\n");
        offset += count;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The lines of an answer that tell which it is.
pub(crate) fn answer_lines(id: u64, number: u64, length: usize) -> String {
    format!("{ID}: {id}\r\n{NUMBER}: {number}\r\n{LENGTH}: {length}\r\n")
}

/// The line of a request that tells which it is.
pub(crate) fn request_line(id: u64) -> String {
    format!("{ID}: {id}\r\n")
}

/// The line that tells how long a body is.
pub(crate) fn length_line(length: usize) -> String {
    format!("Content-Length: {length}\r\n")
}

/// Method and id of the request whose head stands at the start of `bytes`.
pub(crate) fn request_of(bytes: &[u8]) -> Option<(String, u64)> {
    let head = Head::read(bytes).ok()??;
    Some((head.method().to_owned(), head.id()?))
}

/// Whether a request of this method may be made twice (RFC 9110 §9.2.2).
pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_as_it_was_written_at_every_split() {
        let pattern = Pattern::of(7);
        for chunk in [None, Some(1), Some(5), Some(1000)] {
            let written = write_body(pattern, 40, chunk);
            let framing = if chunk.is_some() { Framing::Chunked } else { Framing::Length(40) };
            for cut in 0..=written.len() {
                let mut body = Body::new(framing);
                let used = body.take(&written[..cut], pattern).expect("the first part");
                let mut rest = written[used..].to_vec();
                rest.extend_from_slice(b"HTTP/1.1");
                let used = body.take(&rest, pattern).expect("the rest");
                assert!(body.done, "cut at {cut}");
                assert_eq!((body.data, &rest[used..]), (40, &b"HTTP/1.1"[..]));
            }
        }
    }

    #[test]
    fn a_pattern_is_the_same_from_wherever_it_is_read() {
        let (pattern, whole) = (Pattern::of(9), Pattern::of(9).bytes(0, 600));
        for offset in 0..520 {
            for count in [0, 1, 5, 8, 9, 31, 80] {
                let part = &whole[offset..offset + count];
                assert_eq!(pattern.bytes(offset as u64, count), part);
                assert!(pattern.matches(offset as u64, part));
                for at in 0..count {
                    let mut other = part.to_vec();
                    other[at] ^= 4;
                    assert!(!pattern.matches(offset as u64, &other));
                }
            }
        }
    }

    #[test]
    fn a_foreign_byte_is_seen() {
        let mut written = write_body(Pattern::of(1), 300, None);
        written[150] ^= 1;
        assert!(Body::new(Framing::Length(300)).take(&written, Pattern::of(1)).is_err());
        let written = write_body(Pattern::of(2), 300, None);
        assert!(Body::new(Framing::Length(300)).take(&written, Pattern::of(1)).is_err());
    }
}
