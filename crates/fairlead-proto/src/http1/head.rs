//! What request heads and response heads have in common: header lines, limits, progress.
//!
//! A head is read in one pass, front to back, and refused at the first byte that breaks a rule. So
//! the answer for a head that comes in pieces is the answer for the whole, at the latest when the
//! whole is there. Nothing of the input is kept: a line is five offsets, and the caller brings the
//! same bytes again to read or write what they stand for.
//!
//! Not here: what a line means (`request`, `response`, `framing`, `hop`).

use crate::http1::grammar;
use crate::http1::name::Known;
use crate::http1::strict;
use crate::refusal::Refusal;

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, with the empty line at the end and any before the request line.
    pub head: usize,
    /// Header lines.
    pub headers: usize,
}

impl Limits {
    /// The part of the input that a head can be in.
    pub(crate) fn window<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        &input[..input.len().min(self.bytes())]
    }

    /// The limit in bytes, such that offsets fit into 32 bits.
    pub(crate) fn bytes(&self) -> usize {
        self.head.min(u32::MAX as usize)
    }
}

/// What became of an attempt to read a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Parsed {
    /// It is whole and right; `len()` of the head says how many bytes it has.
    Complete,
    /// Nothing is wrong with it so far; more bytes are needed.
    Partial,
    /// It is wrong, and no further byte can mend it.
    Refused(Refusal),
}

/// HTTP/1.0 or HTTP/1.1. A higher minor version is read as 1.1 (RFC 9110 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// Reads `HTTP/d.d` at `at`, and says where it ends; an input that ends within it is partial only
/// if it could still become one.
pub(crate) fn read_version(input: &[u8], at: usize) -> Result<(Version, usize), Stop> {
    if input[at..].starts_with(b"HTTP/1.1") {
        return Ok((Version::Http11, at + 8));
    }
    let found = &input[at..input.len().min(at + 8)];
    let fits = |(place, byte): (usize, &u8)| match b"HTTP/\0.\0"[place] {
        0 => byte.is_ascii_digit(),
        want => *byte == want,
    };
    if !found.iter().enumerate().all(fits) {
        return Err(strict::BAD_VERSION.into());
    }
    match *found {
        [.., b'1', b'.', b'0'] => Ok((Version::Http10, at + 8)),
        [.., b'1', b'.', _] if found.len() == 8 => Ok((Version::Http11, at + 8)),
        [.., major, b'.', _] if found.len() == 8 && major != b'1' => {
            Err(strict::OTHER_MAJOR.into())
        }
        _ => Err(Stop::Partial),
    }
}

/// How far a head that comes in pieces was looked at, so that a head of n bytes that drips in byte
/// by byte costs work in proportion to n and not to n². Kept per connection by the caller, who
/// hands in the same bytes and more; it begins at `default()`, and is that again after `Complete`
/// or `Refused`.
///
/// A head is parsed when it first comes, again when it has doubled (so that rubbish is refused
/// early), and when its end was seen. In between, only new bytes are searched for that end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    searched: u32,
    parsed: u32,
}

impl Progress {
    /// Whether parsing `window` could tell nothing new.
    pub(crate) fn is_early(&mut self, window: &[u8], limits: &Limits) -> bool {
        if self.parsed == 0 || window.len() >= limits.bytes() {
            return false;
        }
        // The end may have begun in what was searched before: two bytes of the three.
        let from = (self.searched as usize).saturating_sub(2).min(window.len());
        self.searched = window.len() as u32;
        window.len() < self.parsed as usize * 2 && !has_end(&window[from..])
    }

    /// Remembers that all of `window` was parsed in vain.
    pub(crate) fn parsed_in_vain(&mut self, window: &[u8]) {
        self.searched = window.len() as u32;
        self.parsed = window.len() as u32;
    }
}

/// Whether there is an empty line in `bytes`, ended in either way.
fn has_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes)
        .any(|at| matches!(bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Why reading stopped before the end of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The input ended.
    Partial,
    /// A rule was broken.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

/// A range of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub(crate) fn of(self, input: &[u8]) -> &[u8] {
        &input[self.start as usize..self.end as usize]
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One header line: where it, its name and its value stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Its first byte, which is its name's.
    pub(crate) start: u32,
    /// Its colon, where its name ends.
    pub(crate) colon: u32,
    /// Its value, without white space at the ends.
    pub(crate) value: Span,
    /// Behind its CRLF.
    pub(crate) end: u32,
    /// What its name is, or that it ends here whatever it is.
    pub(crate) known: Known,
}

impl Line {
    /// Reads the line that begins at `start`.
    pub(crate) fn read(input: &[u8], start: usize) -> Result<Line, Stop> {
        Line::read_next(input, &input[start..]).map(|(line, _)| line)
    }

    /// Reads the line at the start of `text`, which is the rest of `input`; and what is behind it.
    #[expect(clippy::inline_always, reason = "a fifth less: what it finds stays in registers")]
    #[inline(always)]
    fn read_next<'a>(input: &[u8], text: &'a [u8]) -> Result<(Line, &'a [u8]), Stop> {
        let at = |rest: &[u8]| input.len() - rest.len();
        let (behind, plain) = grammar::behind_name(text);
        let length = text.len() - behind.len();
        let mut value = match behind {
            [b':', value @ ..] if length > 0 => value,
            _ => return Err(no_name(behind, length == 0)),
        };
        let colon = at(behind);
        while let [b' ' | b'\t', more @ ..] = value {
            value = more;
        }
        let from = at(value);
        let behind = grammar::behind_value(value);
        let [b'\r', b'\n', next @ ..] = behind else { return Err(no_line_end(behind)) };
        let value = &value[..value.len() - behind.len()];
        let end = match value {
            [.., b' ' | b'\t'] => from + grammar::trimmed(value).len(),
            _ => from + value.len(),
        };
        let known = if plain { Known::of_plain(text, length) } else { Known::of(&text[..length]) };
        let (start, colon) = (at(text) as u32, colon as u32);
        let line = Line { start, colon, value: Span::new(from, end), end: at(next) as u32, known };
        Ok((line, next))
    }

    #[inline]
    pub(crate) fn name<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        &input[self.start as usize..self.colon as usize]
    }

    /// Whether it speaks to this hop alone because the message or its spelling says so.
    fn is_hidden(&self) -> bool {
        matches!(self.known, Known::Nominated | Known::Alias)
    }
}

/// Why there is no name and colon before `behind`, if nothing (`is_first`) or a name is.
#[cold]
fn no_name(behind: &[u8], is_first: bool) -> Stop {
    let Some(byte) = behind.first() else { return Stop::Partial };
    Stop::Refused(match byte {
        b' ' | b'\t' if is_first => strict::FOLDED,
        b':' => strict::EMPTY_NAME,
        b' ' | b'\t' => strict::SPACE_BEFORE_COLON,
        b'\n' if is_first => strict::BARE_LF,
        b'\r' | b'\n' => strict::NO_COLON,
        _ => strict::BAD_NAME,
    })
}

/// Where the line goes on behind its CRLF, which must stand at `at`.
#[inline]
pub(crate) fn line_end(input: &[u8], at: usize) -> Result<usize, Stop> {
    match input.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(at + 2),
        Some(rest) => Err(no_line_end(rest)),
        None => Err(Stop::Partial),
    }
}

/// What stands in the place of a CRLF.
#[cold]
fn no_line_end(rest: &[u8]) -> Stop {
    Stop::Refused(match rest {
        [] | [b'\r'] => return Stop::Partial,
        [b'\r', ..] => strict::BARE_CR,
        [b'\n', ..] => strict::BARE_LF,
        _ => strict::CONTROL_BYTE,
    })
}

/// Takes note of the lines that matter, as they are read.
pub(crate) trait Notes {
    fn note(&mut self, line: &Line, input: &[u8]) -> Result<(), Refusal>;
}

/// The header lines of one head. Its memory is used again for the next.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    pub(crate) lines: Vec<Line>,
    /// Where the first line begins.
    pub(crate) start: u32,
    /// Where the empty line begins.
    pub(crate) end: u32,
}

impl Fields {
    /// Reads lines from `at` to the empty line; says where the head ends.
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        at: usize,
        limits: &Limits,
        notes: &mut impl Notes,
    ) -> Result<usize, Stop> {
        self.lines.clear();
        self.start = at as u32;
        let mut rest = &input[at..];
        while !matches!(rest, [b'\r', ..]) {
            if !rest.is_empty() && self.lines.len() == limits.headers {
                return Err(strict::TOO_MANY_HEADERS.into());
            }
            let (line, next) = Line::read_next(input, rest)?;
            if line.known != Known::Other {
                notes.note(&line, input)?;
            }
            self.lines.push(line);
            rest = next;
        }
        let end = input.len() - rest.len();
        self.end = end as u32;
        line_end(input, end)
    }

    /// How many header lines there are.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Names and values, in order, without the lines that `Connection` names and those that are
    /// underscore spellings: decisions have to be made on what is passed on. `input` is what was
    /// parsed.
    pub fn iter<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let shown = self.lines.iter().filter(|line| !line.is_hidden());
        shown.map(|line| (line.name(input), line.value.of(input)))
    }

    /// The values of all headers of this name (in lower case), in order.
    pub fn all<'a>(
        &'a self,
        input: &'a [u8],
        name: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.iter(input)
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of the first header of this name (in lower case).
    pub fn find<'a>(&'a self, input: &'a [u8], name: &'a [u8]) -> Option<&'a [u8]> {
        self.all(input, name).next()
    }

    /// The values of all headers with this tag, in order.
    pub fn known<'a>(&'a self, input: &'a [u8], tag: Known) -> impl Iterator<Item = &'a [u8]> {
        let tagged = self.lines.iter().filter(move |line| line.known == tag);
        tagged.map(|line| line.value.of(input))
    }

    /// The value of the first cookie of this name (which has case), as it stands.
    ///
    /// ```
    /// # use fairlead_proto::http1::*;
    /// let input = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: one=1; two=2\r\n\r\n";
    /// let mut head = RequestHead::default();
    /// let limits = Limits { head: 1024, headers: 16 };
    /// assert_eq!(head.parse(input, &limits, &mut Progress::default()), Parsed::Complete);
    /// assert_eq!(head.fields().cookie(input, b"two"), Some(&b"2"[..]));
    /// ```
    pub fn cookie<'a>(&'a self, input: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        let mut crumbs =
            self.known(input, Known::Cookie).flat_map(|value| value.split(|byte| *byte == b';'));
        crumbs.find_map(|crumb| {
            let crumb = grammar::trimmed(crumb);
            crumb.strip_prefix(name)?.strip_prefix(b"=")
        })
    }
}

#[cfg(test)]
mod tests;
