//! One line of the access log, in either format. docs/reference/access-log.md explains the fields.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fairlead_model::reason::Reason;

use super::escape;

/// What was spoken with the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Spoken<'a> {
    /// Bytes.
    #[default]
    Tcp,
    /// HTTP: the client's version, if a request could be read, or what came instead of one.
    Http {
        /// `HTTP/1.1` or `HTTP/1.0`.
        version: Option<&'static str>,
        /// Its first line.
        refused: &'a [u8],
    },
}

/// What of a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    /// Path and query.
    pub(super) target: &'a [u8],
    pub(super) host: Option<&'a [u8]>,
    pub(super) id: Option<&'a [u8]>,
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) referer: Option<&'a [u8]>,
    pub(super) forwarded_for: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Finds it in a head that was found right before. Of several headers of a name the first
    /// counts.
    pub(super) fn read(head: &'a [u8]) -> Request<'a> {
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        // Empty lines before the first are allowed.
        let first = lines.by_ref().find(|line| !line.is_empty()).unwrap_or_default();
        let mut words = first.split(|byte| *byte == b' ');
        let mut request = Request {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            ..Request::default()
        };
        for line in lines {
            request.note(line);
        }
        request
    }

    fn note(&mut self, line: &'a [u8]) {
        // Most lines are somebody else's: the first letter says so.
        let (name, place) = match line.first().map(u8::to_ascii_lowercase) {
            Some(b'h') => (&b"host:"[..], &mut self.host),
            Some(b'u') => (&b"user-agent:"[..], &mut self.user_agent),
            Some(b'r') => (&b"referer:"[..], &mut self.referer),
            Some(b'x') if line.len() > 12 && line[2].eq_ignore_ascii_case(&b'r') => {
                (&b"x-request-id:"[..], &mut self.id)
            }
            Some(b'x') => (&b"x-forwarded-for:"[..], &mut self.forwarded_for),
            _ => return,
        };
        let fits = line.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        if fits && place.is_none() {
            *place = Some(line[name.len()..].trim_ascii());
        }
    }
}

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) listener: &'a str,
    pub(super) client: Option<SocketAddr>,
    pub(super) spoken: Spoken<'a>,
    pub(super) request: Request<'a>,
    /// What the client saw; 0 if nothing.
    pub(super) status: u16,
    pub(super) reason: Reason,
    /// Bytes from the client and to it, with heads.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// Bytes to the client behind the answer's head.
    pub(super) body_sent: u64,
    pub(super) took: Duration,
    pub(super) pool: Option<&'a str>,
    pub(super) backend: Option<&'a str>,
    pub(super) attempts: u32,
}

impl Default for Line<'_> {
    fn default() -> Self {
        Line {
            listener: "",
            client: None,
            spoken: Spoken::Tcp,
            request: Request::default(),
            status: 0,
            reason: Reason::Ok,
            received: 0,
            sent: 0,
            body_sent: 0,
            took: Duration::ZERO,
            pool: None,
            backend: None,
            attempts: 0,
        }
    }
}

/// Writes into memory, which always takes it.
macro_rules! put {
    ($to:expr, $($format:tt)*) => { { let _ = write!($to, $($format)*); } };
}

impl Line<'_> {
    /// As a JSON object. `stamp` is its time without the milliseconds.
    pub(super) fn write_json(&self, to: &mut Vec<u8>, stamp: &str, millis: u64) {
        to.extend_from_slice(b"{\"time\":\"");
        to.extend_from_slice(stamp.as_bytes());
        decimals(to, millis);
        to.extend_from_slice(b"Z\"");
        text(to, "listener", Some(self.listener.as_bytes()));
        match self.client {
            Some(client) => {
                to.extend_from_slice(b",\"client\":\"");
                address(to, client.ip());
                to.push(b'"');
                count(to, "client_port", client.port().into());
            }
            None => to.extend_from_slice(b",\"client\":null,\"client_port\":null"),
        }
        match self.spoken {
            Spoken::Tcp => text(to, "protocol", Some(b"tcp")),
            Spoken::Http { version, refused } => self.write_request(to, version, refused),
        }
        text(to, "reason", Some(self.reason.code().as_bytes()));
        count(to, "bytes_in", self.received);
        count(to, "bytes_out", self.sent);
        let micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        count(to, "duration_ms", micros / 1000);
        decimals(to, micros % 1000);
        text(to, "pool", self.pool.map(str::as_bytes));
        text(to, "backend", self.backend.map(str::as_bytes));
        count(to, "attempts", self.attempts.into());
        if self.spoken != Spoken::Tcp {
            text(to, "request_id", self.request.id);
            text(to, "user_agent", self.request.user_agent);
            text(to, "referer", self.request.referer);
            if self.request.forwarded_for.is_some() {
                text(to, "forwarded_for", self.request.forwarded_for);
            }
        }
        to.extend_from_slice(b"}\n");
    }

    fn write_request(&self, to: &mut Vec<u8>, version: Option<&str>, refused: &[u8]) {
        let given = |bytes| Some(bytes).filter(|bytes: &&[u8]| !bytes.is_empty());
        text(to, "method", given(self.request.method));
        text(to, "host", self.request.host);
        text(to, "path", given(self.request.target));
        text(to, "protocol", version.map(str::as_bytes));
        if !refused.is_empty() {
            text(to, "refused", Some(refused));
        }
        count(to, "status", self.status.into());
    }

    /// In the Combined Log Format. `stamp` is its time.
    pub(super) fn write_combined(&self, to: &mut Vec<u8>, stamp: &str) {
        match self.client {
            Some(client) => address(to, client.ip()),
            None => to.push(b'-'),
        }
        put!(to, " - - [{stamp}] \"");
        match self.spoken {
            Spoken::Http { version: Some(version), .. } => {
                escape::combined(to, self.request.method);
                to.push(b' ');
                escape::combined(to, self.request.target);
                put!(to, " {version}");
            }
            Spoken::Http { refused, .. } if !refused.is_empty() => escape::combined(to, refused),
            _ => to.push(b'-'),
        }
        let body = if self.spoken == Spoken::Tcp { self.sent } else { self.body_sent };
        put!(to, "\" {:03} {body}", self.status);
        for header in [self.request.referer, self.request.user_agent] {
            to.extend_from_slice(b" \"");
            match header {
                Some(value) => escape::combined(to, value),
                None => to.push(b'-'),
            }
            to.push(b'"');
        }
        to.push(b'\n');
    }
}

// A line at 30,000 requests per second has some hundred nanoseconds. The formatting of the standard
// library takes 30 to 80 for each of its twenty parts; these take a few.

/// The name of a member, up to its value.
fn member(to: &mut Vec<u8>, name: &str) {
    to.extend_from_slice(b",\"");
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b"\":");
}

/// A member whose value is a whole number.
fn count(to: &mut Vec<u8>, name: &str, value: u64) {
    member(to, name);
    number(to, value);
}

/// A whole number in decimal digits.
fn number(to: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut left = value;
    loop {
        first -= 1;
        digits[first] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[first..]);
}

/// Thousandths, up to 999: `.007`.
fn decimals(to: &mut Vec<u8>, thousandths: u64) {
    let digit = |unit: u64| b'0' + (thousandths / unit % 10) as u8;
    to.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

/// An address; one of IPv4 that came by IPv6 as what it is.
fn address(to: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (place, octet) in ip.octets().into_iter().enumerate() {
                if place > 0 {
                    to.push(b'.');
                }
                number(to, octet.into());
            }
        }
        IpAddr::V6(ip) => put!(to, "{ip}"),
    }
}

/// A member whose value is a text, or null.
fn text(to: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    member(to, name);
    match value {
        Some(value) => {
            to.push(b'"');
            escape::json(to, value);
            to.push(b'"');
        }
        None => to.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests;
