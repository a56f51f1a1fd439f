//! A body, whatever its framing: where it ends, and what of it goes on.
//!
//! Bytes are counted or walked, never kept. A body that stops before its end is not a shorter body:
//! [`BodyReader::ends_at_close`] says whether the connection's end is the body's.

use crate::http1::chunk::{ChunkLimits, ChunkReader, Fed};
use crate::http1::framing::Framing;
use crate::refusal::Refusal;

/// Walks the body of one message.
///
/// ```
/// # use fairlead_proto::http1::*;
/// let mut body = BodyReader::new(Framing::Length(3), ChunkLimits::UNLIMITED);
/// let mut out = Vec::new();
/// let fed = body.feed(b"abcGET /", true, &mut out)?;
/// assert_eq!(fed, Fed { consumed: 3, done: true, verbatim: true });
/// # Ok::<(), fairlead_proto::Refusal>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BodyReader {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Bytes of data so far, and how many are left.
    Length { data: u64, left: u64 },
    /// Chunks.
    Chunked(ChunkReader),
    /// Bytes of data so far.
    UntilClose { data: u64 },
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::Length { data: 0, left: 0 }
    }
}

impl BodyReader {
    /// A reader at the start of a body; if it comes in chunks, within `limits`.
    pub fn new(framing: Framing, limits: ChunkLimits) -> BodyReader {
        let kind = match framing {
            Framing::None => Kind::default(),
            Framing::Length(left) => Kind::Length { data: 0, left },
            Framing::Chunked => Kind::Chunked(ChunkReader::new(limits)),
            Framing::UntilClose => Kind::UntilClose { data: 0 },
        };
        BodyReader { kind }
    }

    /// A reader at the start of a body whose message's `Connection` names these, as a list: they
    /// are left out of the trailers. Only chunks have any, so only then they are asked for.
    #[inline]
    pub(crate) fn without(
        framing: Framing,
        limits: ChunkLimits,
        nominated: impl FnOnce() -> Option<Box<[u8]>>,
    ) -> BodyReader {
        if framing != Framing::Chunked {
            return BodyReader::new(framing, limits);
        }
        BodyReader { kind: Kind::Chunked(ChunkReader::without(limits, nominated())) }
    }

    /// Takes the next piece; see [`ChunkReader::feed`]. `keep_framing` makes a difference to
    /// chunked bodies alone, and only they are ever refused.
    pub fn feed(
        &mut self,
        input: &[u8],
        keep_framing: bool,
        out: &mut Vec<u8>,
    ) -> Result<Fed, Refusal> {
        let consumed = match &mut self.kind {
            Kind::Chunked(chunks) => return chunks.feed(input, keep_framing, out),
            Kind::Length { data, left } => {
                let taken = (input.len() as u64).min(*left);
                *left -= taken;
                *data += taken;
                taken as usize
            }
            Kind::UntilClose { data } => {
                *data += input.len() as u64;
                input.len()
            }
        };
        Ok(Fed { consumed, done: self.is_done(), verbatim: true })
    }

    /// How many bytes may be passed on without being looked at: what is left of a body of known
    /// length, any number of one that ends with the connection; none of chunks.
    pub fn countable(&self) -> Option<u64> {
        match &self.kind {
            Kind::Length { left, .. } => Some(*left),
            Kind::UntilClose { .. } => Some(u64::MAX),
            Kind::Chunked(_) => None,
        }
    }

    /// So many bytes, no more than [`Self::countable`], were passed on without being looked at.
    pub fn count(&mut self, bytes: u64) {
        match &mut self.kind {
            Kind::Length { data, left } => {
                debug_assert!(bytes <= *left);
                *left = left.saturating_sub(bytes);
                *data += bytes;
            }
            Kind::UntilClose { data } => *data += bytes,
            Kind::Chunked(_) => debug_assert!(false, "chunks have to be looked at"),
        }
    }

    /// Whether the end was seen. Never of a body that ends with the connection.
    pub fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Length { left, .. } => *left == 0,
            Kind::Chunked(chunks) => chunks.is_done(),
            Kind::UntilClose { .. } => false,
        }
    }

    /// Whether something was announced that has not come: the rest of a length, of a chunk or of a
    /// line. Between two chunks, and in a body that ends with the connection, nothing is: there may
    /// be no more to say for now.
    pub fn owes(&self) -> bool {
        match &self.kind {
            Kind::Length { left, .. } => *left > 0,
            Kind::Chunked(chunks) => chunks.owes(),
            Kind::UntilClose { .. } => false,
        }
    }

    /// Whether it is whole if the connection ends now.
    pub fn ends_at_close(&self) -> bool {
        self.is_done() || matches!(self.kind, Kind::UntilClose { .. })
    }

    /// Bytes of data so far, without framing.
    pub fn data_bytes(&self) -> u64 {
        match &self.kind {
            Kind::Length { data, .. } | Kind::UntilClose { data } => *data,
            Kind::Chunked(chunks) => chunks.data_bytes(),
        }
    }

    /// Bytes that are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match &self.kind {
            Kind::Length { left, .. } => Some(*left),
            Kind::Chunked(_) | Kind::UntilClose { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ChunkLimits =
        ChunkLimits { line: 256, excess: 16 * 1024, trailers: 32, trailer_bytes: 8 * 1024 };

    fn fed(consumed: usize, done: bool) -> Fed {
        Fed { consumed, done, verbatim: true }
    }

    #[test]
    fn no_body_takes_nothing() {
        for framing in [Framing::None, Framing::Length(0)] {
            let mut body = BodyReader::new(framing, LIMITS);
            assert!(body.is_done() && body.ends_at_close());
            assert_eq!(body.feed(b"next", true, &mut Vec::new()), Ok(fed(0, true)));
        }
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut body = BodyReader::new(Framing::Length(5), LIMITS);
        assert_eq!(body.feed(b"ab", true, &mut Vec::new()), Ok(fed(2, false)));
        assert_eq!((body.data_bytes(), body.left()), (2, Some(3)));
        assert!(!body.ends_at_close());
        assert_eq!(body.feed(b"cdeNEXT", false, &mut Vec::new()), Ok(fed(3, true)));
        assert_eq!((body.data_bytes(), body.left()), (5, Some(0)));
        assert!(body.ends_at_close());
    }

    #[test]
    fn a_body_until_close_is_never_done_but_whole_at_any_end() {
        let mut body = BodyReader::new(Framing::UntilClose, LIMITS);
        assert_eq!(body.feed(b"abc", true, &mut Vec::new()), Ok(fed(3, false)));
        assert!(!body.is_done() && body.ends_at_close());
        assert_eq!((body.data_bytes(), body.left()), (3, None));
    }

    #[test]
    fn what_is_passed_on_unseen_is_counted() {
        let mut body = BodyReader::new(Framing::Length(10), LIMITS);
        assert_eq!(body.feed(b"ab", true, &mut Vec::new()), Ok(fed(2, false)));
        assert_eq!(body.countable(), Some(8));
        body.count(7);
        assert_eq!((body.data_bytes(), body.left(), body.is_done()), (9, Some(1), false));
        body.count(1);
        assert!(body.is_done() && body.countable() == Some(0));
        let mut endless = BodyReader::new(Framing::UntilClose, LIMITS);
        endless.count(5);
        assert_eq!((endless.data_bytes(), endless.countable()), (5, Some(u64::MAX)));
        assert_eq!(BodyReader::new(Framing::Chunked, LIMITS).countable(), None);
    }

    #[test]
    fn trailers_that_connection_names_are_left_out() {
        let nominated = || Some(b"close, X-Mine".to_vec().into_boxed_slice());
        let last = "0\r\nx-mine: 1\r\nX-Sum: 2\r\n\r\n";
        for cut in 0..last.len() {
            let mut body = BodyReader::without(Framing::Chunked, LIMITS, nominated);
            let mut whole = Vec::new();
            for piece in [&last[..cut], &last[cut..]] {
                let mut out = Vec::new();
                let fed = body.feed(piece.as_bytes(), true, &mut out).expect("a body");
                whole.extend_from_slice(if fed.verbatim { piece.as_bytes() } else { &out });
            }
            assert!(body.is_done());
            assert_eq!(whole, b"0\r\nX-Sum: 2\r\n\r\n", "cut at {cut}");
        }
        assert_eq!(BodyReader::without(Framing::Length(3), LIMITS, nominated).left(), Some(3));
    }

    #[test]
    fn chunks_are_walked() {
        let mut body = BodyReader::new(Framing::Chunked, LIMITS);
        let mut out = Vec::new();
        assert_eq!(body.feed(b"3\r\nabc\r\n", true, &mut out), Ok(fed(8, false)));
        assert!(!body.ends_at_close());
        assert_eq!(body.feed(b"0\r\n\r\nNEXT", true, &mut out), Ok(fed(5, true)));
        assert_eq!((body.data_bytes(), body.left(), out.len()), (3, None, 0));
    }
}
