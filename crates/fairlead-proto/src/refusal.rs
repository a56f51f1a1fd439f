//! Why bytes were refused.
//!
//! A refusal says which rule was broken, where that rule stands, and of which kind the mistake is.
//! The kind is what an answer is chosen by; the answer itself is not decided here.

use std::fmt;

/// What kind of mistake it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The request broke the grammar or a rule of HTTP.
    BadRequest,
    /// A message whose end could be read in more than one way, or a broken chunk.
    BadFraming,
    /// The request line alone is longer than the limit.
    TargetTooLong,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// The head has more lines than the limit.
    TooManyHeaders,
    /// An expectation other than `100-continue`.
    ExpectationFailed,
    /// A method or transfer coding that is not supported.
    NotImplemented,
    /// A major version other than 1.
    VersionNotSupported,
    /// A response that broke the grammar or a rule of HTTP.
    BadResponse,
}

/// A rule that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// What kind of mistake it was.
    pub kind: RefusalKind,
    /// What was found, in one line: `a line ends with LF alone`.
    pub what: &'static str,
    /// Where the rule stands: `RFC 9112 §2.2`. Empty where the rule is our own limit.
    pub place: &'static str,
}

impl Refusal {
    /// The same rule, broken by a response: whatever isn't a matter of size is `BadResponse`.
    #[must_use]
    pub const fn in_response(self) -> Refusal {
        let kind = match self.kind {
            RefusalKind::HeadTooLarge | RefusalKind::TooManyHeaders => self.kind,
            _ => RefusalKind::BadResponse,
        };
        Refusal { kind, ..self }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {} ({})", self.kind, self.what, self.place)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.what)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use crate::http1::strict;

    #[test]
    fn people_read_what_and_developers_where() {
        assert_eq!(strict::BARE_LF.to_string(), "a line ends with LF alone");
        let debug = format!("{:?}", strict::BARE_LF);
        assert_eq!(debug, "BadRequest: a line ends with LF alone (RFC 9112 §2.2)");
    }
}
