//! Everything that is refused, and where the rule stands.
//!
//! One row per rule. Where the RFCs leave a choice between repairing and refusing, we refuse: each
//! repair that one parser makes and another doesn't has been a hole (request smuggling is made of
//! nothing else). Rows are named by what was found.

use crate::refusal::{Refusal, RefusalKind};

macro_rules! rules {
    ($($name:ident, $kind:ident, $place:literal, $what:literal;)*) => {
        $(
            #[doc = concat!($what, " (", $place, ").")]
            pub const $name: Refusal =
                Refusal { kind: RefusalKind::$kind, what: $what, place: $place };
        )*

        /// Every rule, in the table's order.
        pub const ALL: &[Refusal] = &[$($name),*];
    };
}

rules! {
    // Lines
    BARE_LF, BadRequest, "RFC 9112 §2.2", "a line ends with LF alone";
    BARE_CR, BadRequest, "RFC 9112 §2.2", "a CR without LF";
    CONTROL_BYTE, BadRequest, "RFC 9110 §5.5", "a control byte in a header value";
    EMPTY_LINES, BadRequest, "RFC 9112 §2.2", "more than two empty lines before the request line";
    // Request line
    BAD_METHOD, BadRequest, "RFC 9112 §3", "the method is not a token followed by one space";
    BAD_TARGET, BadRequest, "RFC 9112 §3.2", "a byte in the request target that may not stand there";
    NO_VERSION, BadRequest, "RFC 9112 §3", "the request line has no version (HTTP/0.9)";
    BAD_VERSION, BadRequest, "RFC 9112 §2.3", "the version is not HTTP, a digit, a dot and a digit";
    OTHER_MAJOR, VersionNotSupported, "RFC 9110 §15.6.6", "the major version is not 1";
    CONNECT, NotImplemented, "RFC 9110 §9.3.6", "CONNECT is not supported";
    TARGET_FORM, BadRequest, "RFC 9112 §3.2", "the request target has none of the forms its method allows";
    TARGET_SCHEME, BadRequest, "RFC 9112 §3.2.2", "the scheme of the request target is neither http nor https";
    USERINFO, BadRequest, "RFC 9110 §4.2.4", "the request target has user information before its host";
    // Header lines
    FOLDED, BadRequest, "RFC 9112 §5.2", "a header line begins with white space (folding)";
    EMPTY_NAME, BadRequest, "RFC 9112 §5", "a header without a name";
    SPACE_BEFORE_COLON, BadRequest, "RFC 9112 §5.1", "white space between a header's name and its colon";
    NO_COLON, BadRequest, "RFC 9112 §5", "a header line without a colon";
    BAD_NAME, BadRequest, "RFC 9110 §5.1", "a byte in a header name that may not stand there";
    TOO_MANY_OPTIONS, BadRequest, "", "more than 32 options in Connection";
    // Host
    NO_HOST, BadRequest, "RFC 9112 §3.2", "an HTTP/1.1 request without Host";
    TWO_HOSTS, BadRequest, "RFC 9112 §3.2", "more than one Host";
    EMPTY_HOST, BadRequest, "RFC 9112 §3.3", "an empty host";
    BAD_HOST, BadRequest, "RFC 9110 §7.2", "the host is not a name or address with an optional port";
    // Other headers that must be understood
    EXPECTATION, ExpectationFailed, "RFC 9110 §10.1.1", "an expectation other than 100-continue";
    BAD_MAX_FORWARDS, BadRequest, "RFC 9110 §7.6.2", "Max-Forwards is not a number";
    TRACE_BODY, BadRequest, "RFC 9110 §9.3.8", "TRACE with a body";
    // Framing
    BAD_LENGTH, BadFraming, "RFC 9112 §6.3", "Content-Length is not one number";
    TWO_LENGTHS, BadFraming, "RFC 9112 §6.3", "more than one Content-Length";
    TWO_CODINGS, BadFraming, "RFC 9112 §6.1", "more than one Transfer-Encoding";
    BAD_CODING, BadFraming, "RFC 9112 §6.3", "Transfer-Encoding does not end in one chunked";
    OTHER_CODING, NotImplemented, "RFC 9112 §6.1", "a transfer coding other than chunked";
    CODING_AND_LENGTH, BadFraming, "RFC 9112 §6.1", "both Transfer-Encoding and Content-Length";
    CODING_IN_OLD, BadFraming, "RFC 9112 §6.1", "Transfer-Encoding with HTTP/1.0";
    // Chunks
    BAD_CHUNK_SIZE, BadFraming, "RFC 9112 §7.1", "a chunk size that is no hexadecimal number";
    CHUNK_TOO_LARGE, BadFraming, "RFC 9112 §7.1", "a chunk size of more than 16 digits";
    CHUNK_LINE, BadFraming, "RFC 9112 §7.1.1", "a chunk-size line longer than the limit";
    CHUNK_EXCESS, BadFraming, "RFC 9112 §7.1.1", "far more chunk framing than data";
    CHUNK_BARE_LF, BadFraming, "RFC 9112 §7.1", "a line of chunk framing ends with LF alone";
    CHUNK_BARE_CR, BadFraming, "RFC 9112 §7.1", "a CR without LF in chunk framing";
    CHUNK_EXTENSION, BadFraming, "RFC 9112 §7.1.1", "a byte in a chunk extension that may not stand there";
    CHUNK_OVERRUN, BadFraming, "RFC 9112 §7.1", "chunk data that does not end where its size says";
    BAD_TRAILER, BadFraming, "RFC 9112 §7.1.2", "a trailer line that is no header line";
    TRAILERS_TOO_LARGE, BadFraming, "", "trailers of more bytes than the limit";
    TOO_MANY_TRAILERS, BadFraming, "", "more trailers than the limit";
    // Sizes
    REQUEST_LINE_TOO_LONG, TargetTooLong, "RFC 9112 §3", "the request line is longer than the limit";
    HEAD_TOO_LARGE, HeadTooLarge, "RFC 6585 §5", "the head is longer than the limit";
    TOO_MANY_HEADERS, TooManyHeaders, "RFC 6585 §5", "the head has more lines than the limit";
    // Responses alone
    NOT_HTTP, BadResponse, "RFC 9112 §4", "the answer does not begin with HTTP/1. and a digit";
    BAD_STATUS, BadResponse, "RFC 9110 §15", "the status is not three digits from 100 to 599";
    BAD_PHRASE, BadResponse, "RFC 9112 §4", "a byte in the status line that may not stand there";
    CODING_WITHOUT_BODY, BadResponse, "RFC 9112 §6.1", "Transfer-Encoding in an answer that has no body";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_own_text() {
        for (index, rule) in ALL.iter().enumerate() {
            assert!(ALL[index + 1..].iter().all(|other| other.what != rule.what), "{rule}");
            assert!(!rule.what.ends_with('.'), "{rule}");
        }
    }

    #[test]
    fn a_response_breaks_rules_as_a_response() {
        assert_eq!(BARE_LF.in_response().kind, RefusalKind::BadResponse);
        assert_eq!(OTHER_CODING.in_response().kind, RefusalKind::BadResponse);
        assert_eq!(HEAD_TOO_LARGE.in_response().kind, RefusalKind::HeadTooLarge);
        assert_eq!(BARE_LF.in_response().what, BARE_LF.what);
    }
}
