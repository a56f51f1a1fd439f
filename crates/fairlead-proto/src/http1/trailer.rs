//! Trailer lines: which go on, and how much is too much.
//!
//! A trailer must not frame, route or authenticate a message, nor say who the client was (RFC 9110
//! §6.5.1; trusted names in trailers were Traefik's CVE-2026-88004). Such lines are left out, and
//! those that the message's `Connection` names (§7.6.1); other right ones go on; wrong ones are
//! refused.

use crate::http1::chunk::ChunkLimits;
use crate::http1::grammar;
use crate::http1::head::{Line, Stop};
use crate::http1::strict;
use crate::refusal::Refusal;

/// The trailers of one body so far.
#[derive(Debug, Clone)]
pub(crate) struct Trailers {
    /// The beginning of a line whose rest has not come.
    held: Vec<u8>,
    /// Lines that may still come, and bytes of them.
    lines_left: u32,
    bytes_left: u32,
    /// Names that `Connection` took away, as a list.
    nominated: Option<Box<[u8]>>,
}

impl Trailers {
    /// Within `limits`, of a message whose `Connection` names these.
    pub(crate) fn new(limits: &ChunkLimits, nominated: Option<Box<[u8]>>) -> Trailers {
        let (lines_left, bytes_left) = (limits.trailers, limits.trailer_bytes);
        Trailers { held: Vec::new(), lines_left, bytes_left, nominated }
    }

    /// Whether the next byte begins a line.
    pub(crate) fn is_at_line_start(&self) -> bool {
        self.held.is_empty()
    }

    /// Counts bytes of trailer lines.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        let left = u64::from(self.bytes_left).checked_sub(bytes as u64);
        self.bytes_left = left.ok_or(strict::TRAILERS_TOO_LARGE)? as u32;
        Ok(())
    }

    /// Keeps a part of a line until its rest comes.
    pub(crate) fn hold(&mut self, part: &[u8]) {
        self.held.extend_from_slice(part);
    }

    /// The line that was held.
    pub(crate) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Judges a line that ends with LF; says whether it goes on.
    pub(crate) fn judge(&mut self, line: &[u8]) -> Result<bool, Refusal> {
        self.lines_left = self.lines_left.checked_sub(1).ok_or(strict::TOO_MANY_TRAILERS)?;
        match Line::read(line, 0) {
            Ok(found) => Ok(!found.known.is_no_trailer() && !self.is_nominated(found.name(line))),
            Err(Stop::Refused(strict::BARE_LF)) => Err(strict::CHUNK_BARE_LF),
            Err(Stop::Refused(strict::BARE_CR)) => Err(strict::CHUNK_BARE_CR),
            Err(Stop::Partial | Stop::Refused(_)) => Err(strict::BAD_TRAILER),
        }
    }

    fn is_nominated(&self, name: &[u8]) -> bool {
        let names = self.nominated.as_deref().unwrap_or_default();
        grammar::list(names).any(|option| option.eq_ignore_ascii_case(name))
    }
}
