//! Responses that the balancer makes itself.
//!
//! A status, a code for machines, one line for people. Nothing of the request is repeated in them.

use crate::http1::grammar::push_number;
use crate::http1::head::Version;
use crate::http1::write::{write_date, write_persistence};

/// A response of our own.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// What `X-Fairlead-Reason` says: a token.
    pub code: &'a str,
    /// The body, without its line end; one line.
    pub text: &'a str,
    /// The client's version; `Http11` if it isn't known.
    pub client_version: Version,
    /// Whether the connection closes after it.
    pub close: bool,
    /// Whether it answers a HEAD: then the body is only announced.
    pub head_request: bool,
    /// After how many seconds it is worth asking again.
    pub retry_after: Option<u32>,
    /// The methods that are allowed, for an answer that is about them; else empty.
    pub allow: &'a str,
    /// The time of day (RFC 9110 §6.6.1). Empty if nobody knows it.
    pub date: &'a str,
}

/// Writes a response of our own, head and body.
///
/// ```
/// # use fairlead_proto::http1::*;
/// let mut out = Vec::new();
/// write_answer(&mut out, &Answer {
///     status: 503,
///     code: "no_backend",
///     text: "no backend of the pool is available",
///     client_version: Version::Http11,
///     close: false,
///     head_request: false,
///     retry_after: Some(1),
///     allow: "",
///     date: "Sat, 21 Nov 2026 09:08:07 GMT",
/// });
/// assert!(out.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"));
/// assert!(out.ends_with(b"\r\n\r\nno backend of the pool is available\n"));
/// ```
pub fn write_answer(out: &mut Vec<u8>, answer: &Answer<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, u64::from(answer.status));
    out.push(b' ');
    out.extend_from_slice(phrase(answer.status).as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    push_number(out, answer.text.len() as u64 + 1);
    out.extend_from_slice(b"\r\nX-Fairlead-Reason: ");
    out.extend_from_slice(answer.code.as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(seconds) = answer.retry_after {
        out.extend_from_slice(b"Retry-After: ");
        push_number(out, u64::from(seconds));
        out.extend_from_slice(b"\r\n");
    }
    if !answer.allow.is_empty() {
        out.extend_from_slice(b"Allow: ");
        out.extend_from_slice(answer.allow.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    write_date(out, answer.date);
    write_persistence(out, answer.client_version, answer.close);
    out.extend_from_slice(b"\r\n");
    if !answer.head_request {
        out.extend_from_slice(answer.text.as_bytes());
        out.push(b'\n');
    }
}

/// The reason phrase of RFC 9110 §15 for the statuses that we answer with; empty for others.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Framing, Limits, Method, Parsed, Progress, ResponseHead};

    fn answer() -> Answer<'static> {
        Answer {
            status: 431,
            code: "head_too_large",
            text: "too large",
            client_version: Version::Http11,
            close: true,
            head_request: false,
            retry_after: None,
            allow: "",
            date: "",
        }
    }

    #[test]
    fn an_answer_is_what_our_own_parser_takes() {
        let mut out = Vec::new();
        write_answer(&mut out, &answer());
        let mut head = ResponseHead::default();
        let limits = Limits { head: 1024, headers: 16 };
        let parsed = head.parse(&out, Method::Get, &limits, &mut Progress::default());
        assert_eq!(parsed, Parsed::Complete);
        assert_eq!(head.status(), 431);
        assert_eq!(head.framing(), Framing::Length(10));
        assert!(!head.keep_alive());
        assert_eq!(head.fields().find(&out, b"x-fairlead-reason"), Some(&b"head_too_large"[..]));
        assert_eq!(&out[head.len()..], b"too large\n");
    }

    #[test]
    fn an_answer_to_head_only_announces_its_body() {
        let (mut whole, mut head) = (Vec::new(), Vec::new());
        write_answer(&mut whole, &answer());
        write_answer(&mut head, &Answer { head_request: true, ..answer() });
        assert_eq!([&head[..], b"too large\n"].concat(), whole);
    }

    #[test]
    fn an_old_client_is_told_that_the_connection_stays() {
        let mut out = Vec::new();
        let old = Answer { client_version: Version::Http10, close: false, ..answer() };
        write_answer(&mut out, &Answer { retry_after: Some(7), ..old });
        let text = String::from_utf8(out).expect("ASCII");
        assert!(text.contains("\r\nConnection: keep-alive\r\n"));
        assert!(text.contains("\r\nRetry-After: 7\r\n"));
    }

    #[test]
    fn an_answer_says_when_it_was_made_and_what_is_allowed_where_that_is_known() {
        let mut out = Vec::new();
        write_answer(&mut out, &answer());
        let bare = String::from_utf8(out).expect("ASCII");
        assert!(!bare.contains("Date") && !bare.contains("Allow"));
        let mut out = Vec::new();
        let date = "Sat, 21 Nov 2026 09:08:07 GMT";
        write_answer(&mut out, &Answer { date, allow: "GET, HEAD", ..answer() });
        let text = String::from_utf8(out).expect("ASCII");
        assert!(text.contains("\r\nAllow: GET, HEAD\r\nDate: Sat, 21 Nov 2026 09:08:07 GMT\r\n"));
    }

    #[test]
    fn every_status_we_answer_with_has_its_phrase() {
        for status in [200, 400, 404, 405, 408, 413, 414, 417, 421, 431, 501, 502, 503, 504, 505] {
            assert!(!phrase(status).is_empty());
        }
        assert_eq!(phrase(299), "");
    }
}
