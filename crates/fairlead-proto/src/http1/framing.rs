//! Where a body ends (RFC 9112 §6).
//!
//! There is one way to say it and no second: one `Content-Length` that is one number, or one
//! `Transfer-Encoding` that is `chunked`, never both. Everything else is refused, since every
//! leniency here has been somebody's request smuggling.

use crate::http1::grammar;
use crate::http1::head::Version;
use crate::http1::strict;
use crate::refusal::Refusal;

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes; 0 too, if the message said so.
    Length(u64),
    /// Chunks up to one of size zero.
    Chunked,
    /// Everything until the connection closes. Responses only.
    UntilClose,
}

impl Framing {
    /// Whether no byte of a body can come.
    pub const fn is_empty(self) -> bool {
        matches!(self, Framing::None | Framing::Length(0))
    }
}

/// What a head has said about its body so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Transfer {
    /// The Content-Length.
    pub(crate) length: Option<u64>,
    /// Whether that stands there in plain form: without leading zeros.
    pub(crate) is_plain: bool,
    /// Whether the body is chunked.
    pub(crate) is_chunked: bool,
}

impl Transfer {
    /// Takes note of a `Content-Length`.
    pub(crate) fn note_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(strict::TWO_LENGTHS);
        }
        self.length = Some(grammar::number(value).ok_or(strict::BAD_LENGTH)?);
        self.is_plain = value.len() == 1 || value[0] != b'0';
        Ok(())
    }

    /// Takes note of a `Transfer-Encoding`.
    pub(crate) fn note_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.is_chunked {
            return Err(strict::TWO_CODINGS);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(wrong_coding(value));
        }
        self.is_chunked = true;
        Ok(())
    }

    /// Judges what only the whole head can tell.
    pub(crate) fn check(&self, version: Version) -> Result<(), Refusal> {
        if self.is_chunked && self.length.is_some() {
            return Err(strict::CODING_AND_LENGTH);
        }
        if self.is_chunked && version == Version::Http10 {
            return Err(strict::CODING_IN_OLD);
        }
        Ok(())
    }

    /// The framing that was named; `None` if none was.
    pub(crate) fn named(&self) -> Option<Framing> {
        if self.is_chunked {
            return Some(Framing::Chunked);
        }
        self.length.map(Framing::Length)
    }
}

/// Tells a list of codings that could be right somewhere (`gzip, chunked`) from one that says
/// nothing reliable about the end.
#[cold]
fn wrong_coding(value: &[u8]) -> Refusal {
    let mut codings = value.split(|byte| *byte == b',').map(grammar::trimmed);
    let last_is_chunked =
        codings.next_back().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    let others_are =
        |coding: &[u8]| grammar::is_token(coding) && !coding.eq_ignore_ascii_case(b"chunked");
    if last_is_chunked && codings.all(others_are) {
        strict::OTHER_CODING
    } else {
        strict::BAD_CODING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_one_number_of_digits() {
        for wrong in [
            "",
            "+5",
            "-5",
            "5,5",
            "5, 5",
            "0x5",
            "5 5",
            "5.",
            "1e3",
            "5;",
            "\"5\"",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(
                Transfer::default().note_length(wrong.as_bytes()),
                Err(strict::BAD_LENGTH),
                "{wrong}"
            );
        }
        let mut transfer = Transfer::default();
        assert_eq!(transfer.note_length(b"18446744073709551615"), Ok(()));
        assert_eq!(transfer.note_length(b"18446744073709551615"), Err(strict::TWO_LENGTHS));
    }

    #[test]
    fn leading_zeros_are_a_number_but_not_in_plain_form() {
        for (value, number, is_plain) in [("0", 0, true), ("00", 0, false), ("05", 5, false)] {
            let mut transfer = Transfer::default();
            assert_eq!(transfer.note_length(value.as_bytes()), Ok(()));
            assert_eq!((transfer.length, transfer.is_plain), (Some(number), is_plain));
        }
    }

    #[test]
    fn a_coding_is_chunked_once_or_refused() {
        let coded = |value: &str| Transfer::default().note_coding(value.as_bytes());
        assert_eq!(coded("chunked"), Ok(()));
        assert_eq!(coded("CHUNKED"), Ok(()));
        for other in ["gzip, chunked", "gzip,deflate ,\tchunked"] {
            assert_eq!(coded(other), Err(strict::OTHER_CODING), "{other}");
        }
        for wrong in [
            "",
            "identity",
            "gzip",
            "chunked, gzip",
            "chunked, chunked",
            "chunked,",
            ",chunked",
            "xchunked",
            "chunked;q=1",
            "chunked x",
            "\"chunked\"",
            "chunked, identity",
        ] {
            assert_eq!(coded(wrong), Err(strict::BAD_CODING), "{wrong}");
        }
    }
}
