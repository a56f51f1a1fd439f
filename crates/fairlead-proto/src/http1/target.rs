//! What a request asks for: target forms and hosts (RFC 9112 §3.2).
//!
//! Three forms are read: origin (`/path?query`), absolute (`http://host/path`, whose host replaces
//! `Host`, and which goes on in origin form), and asterisk (`*`, of OPTIONS alone). Paths are never
//! decoded or normalised: what is decided on is exactly what goes on.

use std::net::Ipv6Addr;
use std::ops::Range;

use crate::http1::grammar;
use crate::http1::head::Span;
use crate::http1::method::Method;
use crate::http1::strict;
use crate::refusal::Refusal;

/// A request target, as ranges of the input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Target {
    /// As it was sent.
    pub(crate) whole: Span,
    /// Host and port of the absolute form; empty in other forms.
    pub(crate) authority: Span,
    /// Bytes of the host at the start of that.
    pub(crate) host_length: u32,
    /// Without query. Empty if the absolute form has none.
    pub(crate) path: Span,
    /// With its question mark; empty if there is none.
    pub(crate) query: Span,
    /// The scheme of the absolute form is `https`.
    pub(crate) is_https: bool,
}

impl Target {
    /// Reads the target between `start` and `end`, whose bytes are known to be ones that may stand
    /// in a target.
    pub(crate) fn read(
        input: &[u8],
        start: usize,
        end: usize,
        method: Method,
    ) -> Result<Target, Refusal> {
        let text = &input[start..end];
        let (authority, host_length) = match text {
            [b'/', ..] => (start..start, 0),
            b"*" if method == Method::Options => (start..start, 0),
            _ => absolute_authority(text)
                .map(|(range, host)| (start + range.start..start + range.end, host))?,
        };
        let path_start = authority.end;
        let query = memchr::memchr(b'?', &input[path_start..end]);
        let path_end = query.map_or(end, |length| path_start + length);
        Ok(Target {
            whole: Span::new(start, end),
            authority: Span::new(authority.start, authority.end),
            host_length: host_length as u32,
            path: Span::new(path_start, path_end),
            query: Span::new(path_end, end),
            // `http://` and `https://` are the only ones, and the authority follows at once.
            is_https: authority.start == start + HTTPS,
        })
    }

    /// The path; what an absolute form without one means (RFC 9112 §3.2.1 and §3.2.4) if it is
    /// empty.
    pub(crate) fn path<'a>(&self, input: &'a [u8], method: Method) -> &'a [u8] {
        match (self.path.of(input), method) {
            (b"", Method::Options) if self.query.is_empty() => b"*",
            (b"", _) => b"/",
            (path, _) => path,
        }
    }
}

/// Bytes of `https://`.
const HTTPS: usize = 8;

fn scheme_length(text: &[u8]) -> usize {
    let is = |scheme: &[u8]| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if is(b"http://") {
        7
    } else if is(b"https://") {
        HTTPS
    } else {
        0
    }
}

/// Where the authority of an absolute target stands, and how long the host in it is.
#[cold]
fn absolute_authority(text: &[u8]) -> Result<(Range<usize>, usize), Refusal> {
    let scheme = scheme_length(text);
    if scheme == 0 {
        let has_scheme = text.windows(3).any(|three| three == b"://");
        return Err(if has_scheme { strict::TARGET_SCHEME } else { strict::TARGET_FORM });
    }
    let rest = &text[scheme..];
    let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    if rest[..length].contains(&b'@') {
        return Err(strict::USERINFO);
    }
    let host = host_length(&rest[..length])?;
    Ok((scheme..scheme + length, host))
}

/// Bytes of the host in `host[:port]`, once all of it was found right.
///
/// An empty host is refused, whatever the version: RFC 9110 §4.2.1 calls an http URI with one
/// invalid, and each backend would put another default in its place.
pub(crate) fn host_length(authority: &[u8]) -> Result<usize, Refusal> {
    let length = match authority {
        [] | [b':', ..] => return Err(strict::EMPTY_HOST),
        [b'[', ..] => ip_literal_length(authority)?,
        _ => grammar::host_end(authority, 0),
    };
    match &authority[length..] {
        [] => Ok(length),
        [b':', port @ ..] if is_port(port) => Ok(length),
        _ => Err(strict::BAD_HOST),
    }
}

/// Bytes of an IPv6 address in brackets. Zones and `IPvFuture` are refused.
fn ip_literal_length(authority: &[u8]) -> Result<usize, Refusal> {
    let end = memchr::memchr(b']', authority).ok_or(strict::BAD_HOST)?;
    let text = std::str::from_utf8(&authority[1..end]).map_err(|_| strict::BAD_HOST)?;
    text.parse::<Ipv6Addr>().map(|_| end + 1).map_err(|_| strict::BAD_HOST)
}

/// Whether it is a port. RFC 3986 §3.2.3 lets it be empty.
fn is_port(port: &[u8]) -> bool {
    port.is_empty() || (port.len() <= 5 && grammar::number(port).is_some_and(|port| port < 65_536))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, method: Method) -> Result<(&str, &str, &str), Refusal> {
        let input = text.as_bytes();
        let target = Target::read(input, 0, input.len(), method)?;
        let text = |bytes| std::str::from_utf8(bytes).expect("ASCII");
        Ok((
            text(target.authority.of(input)),
            text(target.path(input, method)),
            text(target.query.of(input)),
        ))
    }

    #[test]
    fn origin_form_is_path_and_query() {
        assert_eq!(parts("/", Method::Get), Ok(("", "/", "")));
        assert_eq!(parts("/a?b?c", Method::Get), Ok(("", "/a", "?b?c")));
        assert_eq!(parts("/?", Method::Get), Ok(("", "/", "?")));
        assert_eq!(parts("//a/b", Method::Get), Ok(("", "//a/b", "")));
    }

    #[test]
    fn absolute_form_brings_its_host() {
        assert_eq!(parts("http://a/b?c", Method::Get), Ok(("a", "/b", "?c")));
        assert_eq!(parts("HTTPS://a:1", Method::Get), Ok(("a:1", "/", "")));
        assert_eq!(parts("http://a?b=/", Method::Get), Ok(("a", "/", "?b=/")));
        assert_eq!(parts("http://a", Method::Options), Ok(("a", "*", "")));
        assert_eq!(parts("http://a?b", Method::Options), Ok(("a", "/", "?b")));
        assert_eq!(parts("http://[::1]:80/", Method::Get), Ok(("[::1]:80", "/", "")));
    }

    #[test]
    fn other_targets_are_refused() {
        for (text, rule) in [
            ("*", strict::TARGET_FORM),
            ("a", strict::TARGET_FORM),
            ("a:80", strict::TARGET_FORM),
            ("?a", strict::TARGET_FORM),
            ("ftp://a/", strict::TARGET_SCHEME),
            ("http:/a", strict::TARGET_FORM),
            ("http:///a", strict::EMPTY_HOST),
            ("http://", strict::EMPTY_HOST),
            ("http://u@a/", strict::USERINFO),
            ("http://u:p@a/", strict::USERINFO),
            ("http://a:x/", strict::BAD_HOST),
            ("http://a\\b/", strict::BAD_HOST),
        ] {
            assert_eq!(parts(text, Method::Get), Err(rule), "{text}");
        }
        assert_eq!(parts("*", Method::Options), Ok(("", "*", "")));
        assert_eq!(parts("*x", Method::Options), Err(strict::TARGET_FORM));
    }

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for (text, length) in [
            ("a", 1),
            ("a.b-c_d~e", 9),
            ("a.", 2),
            ("a:80", 1),
            ("a:", 1),
            ("a:65535", 1),
            ("127.0.0.1:8080", 9),
            ("[::1]", 5),
            ("[::ffff:1.2.3.4]:80", 16),
        ] {
            assert_eq!(host_length(text.as_bytes()), Ok(length), "{text}");
        }
        for text in [
            "a b",
            "a,b",
            "a/b",
            "a@b",
            "a?b",
            "a#b",
            "a:b",
            "a:1:2",
            "a:65536",
            "a:000080",
            "a:-1",
            "[::1",
            "1::1",
            "[::1]a",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "[]",
            "a[",
            "a%41",
            "ä",
            "a\\b",
            "a\tb",
        ] {
            assert_eq!(host_length(text.as_bytes()), Err(strict::BAD_HOST), "{text}");
        }
        assert_eq!(host_length(b""), Err(strict::EMPTY_HOST));
        assert_eq!(host_length(b":80"), Err(strict::EMPTY_HOST));
    }
}
