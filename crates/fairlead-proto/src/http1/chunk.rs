//! The chunked coding, walked as it passes (RFC 9112 §7.1).
//!
//! What is in plain form goes on as it is: sizes without leading zeros and extensions, trailers that
//! may be passed on. The rest is taken out on the way. Everything written is a part of what came
//! in, in order, and it is the same wherever the input was cut into pieces.
//!
//! In the middle of a chunk nothing is looked at: the whole piece goes on. Nothing is allocated but
//! for a trailer line that was cut in two.
//!
//! Chunk extensions are left out always: no client or backend of today uses them, and parsers read
//! them differently (Go's CVE-2023-39326, and a whole family of smuggling).

use crate::http1::strict;
use crate::http1::trailer::Trailers;
use crate::refusal::Refusal;

/// The last chunk and the end of the (absent) trailers, for bodies that are given chunks.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What stands behind the data of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Digits of a chunk size: 16 are 64 bits.
const DIGITS_MAX: u8 = 16;

/// How much framing a chunked body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Bytes of a size line with extensions and CRLF.
    pub line: u32,
    /// Bytes of framing in excess of what plain chunks of the same data would need, with an
    /// allowance of 16 a chunk.
    pub excess: u32,
    /// Trailer lines.
    pub trailers: u32,
    /// Bytes of all trailer lines.
    pub trailer_bytes: u32,
}

impl ChunkLimits {
    /// For a body that was read within its limits before.
    pub const UNLIMITED: ChunkLimits = ChunkLimits {
        line: u32::MAX,
        excess: u32::MAX,
        trailers: u32::MAX,
        trailer_bytes: u32::MAX,
    };
}

/// Writes the head of a chunk of `length` bytes (more than 0) into `space`.
///
/// ```
/// # use fairlead_proto::http1::chunk_head;
/// assert_eq!(chunk_head(255, &mut [0; 20]), b"ff\r\n");
/// ```
pub fn chunk_head(length: u64, space: &mut [u8; 20]) -> &[u8] {
    let mut at = space.len() - 2;
    space[at..].copy_from_slice(b"\r\n");
    let mut rest = length;
    loop {
        at -= 1;
        space[at] = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
        if rest == 0 {
            return &space[at..];
        }
    }
}

/// What became of a piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Fed {
    /// Bytes that belong to this body; less than was fed only if it is done.
    pub consumed: usize,
    /// Whether the body is over.
    pub done: bool,
    /// Whether those bytes go on as they are, and nothing was written.
    pub verbatim: bool,
}

/// Walks a chunked body.
#[derive(Debug, Clone)]
pub struct ChunkReader {
    state: State,
    /// The size being read, then what is left of the chunk's data.
    left: u64,
    /// Bytes of data so far.
    data: u64,
    /// Bytes of the size line so far, and how many it may have.
    line: u32,
    line_most: u32,
    /// Digits of the size so far, leading zeros included.
    digits: u8,
    /// Whether a zero at the end of the last piece is held back: it is the last chunk's size if no
    /// digit follows, and a leading zero otherwise.
    held_zero: bool,
    /// Bytes of framing in excess so far, and how many there may be.
    excess: u32,
    excess_most: u32,
    trailers: Trailers,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A byte of framing.
    Framing(Expect),
    /// Data.
    Data,
    /// A trailer line, or the empty line.
    Trailer,
    /// Nothing: it is over.
    Done,
    /// Nothing: it was refused.
    Broken(Refusal),
}

/// Which byte of framing comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A digit of a size, or what ends it.
    Size,
    /// White space before an extension's semicolon, or that.
    BeforeExtension,
    /// Within extensions.
    Extension,
    /// The LF of a size line.
    SizeLf,
    /// The CR behind data.
    DataCr,
    /// The LF behind data.
    DataLf,
    /// The LF of the empty line.
    LastLf,
}

impl ChunkReader {
    /// A reader at the start of a body within `limits`.
    pub fn new(limits: ChunkLimits) -> ChunkReader {
        ChunkReader::without(limits, None)
    }

    /// A reader at the start of a body whose message's `Connection` names these trailers, as a
    /// list: they are left out.
    pub(crate) fn without(limits: ChunkLimits, nominated: Option<Box<[u8]>>) -> ChunkReader {
        ChunkReader {
            state: State::Framing(Expect::Size),
            left: 0,
            data: 0,
            line: 0,
            line_most: limits.line,
            digits: 0,
            held_zero: false,
            excess: 0,
            excess_most: limits.excess,
            trailers: Trailers::new(&limits, nominated),
        }
    }

    /// Bytes of data so far, without framing.
    pub fn data_bytes(&self) -> u64 {
        self.data
    }

    /// Whether the end was seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether it stands within a chunk, or within a line: more of it has to come.
    pub fn owes(&self) -> bool {
        match self.state {
            State::Framing(Expect::Size) => self.digits > 0,
            State::Done | State::Broken(_) => false,
            State::Framing(_) | State::Data | State::Trailer => true,
        }
    }

    /// Takes the next piece of the body. What goes on is either the consumed part of `input` as it
    /// is (`verbatim`), or what was appended to `out`. Without `keep_framing`, only data goes on.
    ///
    /// `keep_framing` must be the same for all pieces of a body. Refusals are of kind `BadFraming`;
    /// nothing of the refused piece is written, and every further call answers the same.
    pub fn feed(
        &mut self,
        input: &[u8],
        keep_framing: bool,
        out: &mut Vec<u8>,
    ) -> Result<Fed, Refusal> {
        let before = out.len();
        let mut piece = Piece { input, out, run: 0, keep_framing };
        let mut at = 0;
        while at < input.len() {
            let step = match self.state {
                State::Data => Ok(self.data(input, at)),
                State::Framing(expect) => self.framing(expect, at, &mut piece),
                State::Trailer => self.trailer(at, &mut piece),
                State::Done | State::Broken(_) => break,
            };
            match step {
                Ok(next) => at = next,
                Err(refusal) => {
                    piece.out.truncate(before);
                    self.state = State::Broken(refusal);
                }
            }
        }
        if let State::Broken(refusal) = self.state {
            return Err(refusal);
        }
        let verbatim = piece.run == 0 && piece.out.len() == before;
        if !verbatim {
            piece.flush(at);
        }
        Ok(Fed { consumed: at, done: self.is_done(), verbatim })
    }

    /// Passes over as much data as there is.
    fn data(&mut self, input: &[u8], at: usize) -> usize {
        let here = (input.len() - at) as u64;
        let taken = here.min(self.left);
        self.left -= taken;
        self.data += taken;
        if self.left == 0 {
            self.state = State::Framing(Expect::DataCr);
        }
        at + taken as usize
    }

    /// Takes one byte of framing.
    fn framing(
        &mut self,
        expect: Expect,
        at: usize,
        piece: &mut Piece<'_>,
    ) -> Result<usize, Refusal> {
        let byte = piece.input[at];
        let mut goes_on = piece.keep_framing;
        match expect {
            Expect::Size => goes_on &= self.size(byte, at, piece)?,
            Expect::BeforeExtension | Expect::Extension => {
                goes_on &= self.extension(expect, byte)?;
            }
            Expect::SizeLf => {
                lf(byte)?;
                self.end_size_line()?;
            }
            Expect::DataCr => {
                after_data(byte)?;
                self.state = State::Framing(Expect::DataLf);
            }
            Expect::DataLf => {
                lf(byte)?;
                self.state = State::Framing(Expect::Size);
            }
            Expect::LastLf => {
                lf(byte)?;
                self.state = State::Done;
            }
        }
        if !goes_on {
            piece.leave_out(at, at + 1);
        }
        Ok(at + 1)
    }

    /// Takes a byte of a size; says whether it goes on.
    fn size(&mut self, byte: u8, at: usize, piece: &mut Piece<'_>) -> Result<bool, Refusal> {
        self.count_line()?;
        let Some(digit) = (byte as char).to_digit(16) else {
            if self.held_zero {
                self.held_zero = false;
                piece.insert(at, b"0");
            }
            return self.end_size(byte);
        };
        self.digits += 1;
        if self.digits > DIGITS_MAX {
            return Err(strict::CHUNK_TOO_LARGE);
        }
        self.held_zero = false;
        self.left = self.left << 4 | u64::from(digit);
        if self.left > 0 {
            return Ok(true);
        }
        let next = piece.input.get(at + 1);
        self.held_zero = next.is_none() && piece.keep_framing;
        Ok(next.is_some_and(|next| !next.is_ascii_hexdigit()))
    }

    /// Takes the byte behind a size's digits; says whether it goes on.
    fn end_size(&mut self, byte: u8) -> Result<bool, Refusal> {
        let next = match byte {
            _ if self.digits == 0 => return Err(wrong_size(byte)),
            b'\r' => Expect::SizeLf,
            b';' => Expect::Extension,
            b' ' | b'\t' => Expect::BeforeExtension,
            _ => return Err(wrong_size(byte)),
        };
        self.state = State::Framing(next);
        Ok(byte == b'\r')
    }

    /// Takes a byte of an extension, or one before it; says whether it goes on.
    fn extension(&mut self, expect: Expect, byte: u8) -> Result<bool, Refusal> {
        self.count_line()?;
        let next = match byte {
            b'\n' => return Err(strict::CHUNK_BARE_LF),
            b';' => Expect::Extension,
            b' ' | b'\t' => expect,
            _ if expect == Expect::BeforeExtension => return Err(strict::BAD_CHUNK_SIZE),
            b'\r' => Expect::SizeLf,
            byte if byte.is_ascii_control() => return Err(strict::CHUNK_EXTENSION),
            _ => Expect::Extension,
        };
        self.state = State::Framing(next);
        Ok(byte == b'\r')
    }

    /// Counts a byte of a size line. The LF is not counted, hence one less than the bound.
    fn count_line(&mut self) -> Result<(), Refusal> {
        self.line += 1;
        if self.line >= self.line_most {
            return Err(strict::CHUNK_LINE);
        }
        Ok(())
    }

    /// Begins what follows a size line.
    fn end_size_line(&mut self) -> Result<(), Refusal> {
        let allowed = 16_u64.saturating_add(self.left.saturating_mul(2));
        let needed = u64::from(self.excess) + u64::from(self.line) + 1;
        let excess = needed.saturating_sub(allowed);
        if excess > u64::from(self.excess_most) {
            return Err(strict::CHUNK_EXCESS);
        }
        self.excess = excess as u32;
        (self.line, self.digits) = (0, 0);
        self.state = if self.left == 0 { State::Trailer } else { State::Data };
        Ok(())
    }

    /// Takes as much of a trailer line as there is.
    fn trailer(&mut self, at: usize, piece: &mut Piece<'_>) -> Result<usize, Refusal> {
        let rest = &piece.input[at..];
        if rest[0] == b'\r' && self.trailers.is_at_line_start() {
            self.state = State::Framing(Expect::LastLf);
            if !piece.keep_framing {
                piece.leave_out(at, at + 1);
            }
            return Ok(at + 1);
        }
        let length = memchr::memchr(b'\n', rest).map(|length| length + 1);
        let end = at + length.unwrap_or(rest.len());
        self.trailers.count(end - at)?;
        match (length, self.trailers.is_at_line_start()) {
            (Some(_), true) => {
                let goes_on = self.trailers.judge(&piece.input[at..end])?;
                if !goes_on || !piece.keep_framing {
                    piece.leave_out(at, end);
                }
            }
            (None, _) => {
                self.trailers.hold(&piece.input[at..end]);
                piece.leave_out(at, end);
            }
            (Some(_), false) => {
                self.trailers.hold(&piece.input[at..end]);
                let line = self.trailers.take_held();
                piece.leave_out(at, end);
                if self.trailers.judge(&line)? && piece.keep_framing {
                    piece.insert(end, &line);
                }
            }
        }
        Ok(end)
    }
}

fn lf(byte: u8) -> Result<(), Refusal> {
    if byte == b'\n' {
        Ok(())
    } else {
        Err(strict::CHUNK_BARE_CR)
    }
}

fn after_data(byte: u8) -> Result<(), Refusal> {
    match byte {
        b'\r' => Ok(()),
        b'\n' => Err(strict::CHUNK_BARE_LF),
        _ => Err(strict::CHUNK_OVERRUN),
    }
}

fn wrong_size(byte: u8) -> Refusal {
    if byte == b'\n' {
        strict::CHUNK_BARE_LF
    } else {
        strict::BAD_CHUNK_SIZE
    }
}

/// A piece of input on its way: a run of bytes that go on, and what was written before it.
struct Piece<'a> {
    input: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Where the run begins that is not written yet.
    run: usize,
    keep_framing: bool,
}

impl Piece<'_> {
    /// Writes the run up to `to`; the next begins there.
    fn flush(&mut self, to: usize) {
        self.out.extend_from_slice(&self.input[self.run..to]);
        self.run = to;
    }

    /// Leaves out `from` to `to`.
    fn leave_out(&mut self, from: usize, to: usize) {
        self.flush(from);
        self.run = to;
    }

    /// Puts `bytes` before the byte at `at`.
    fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.flush(at);
        self.out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;
