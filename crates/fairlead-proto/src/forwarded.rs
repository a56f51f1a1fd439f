//! Who the client was, told to the backend: `X-Forwarded-For`, `-Proto`, `-Host`, `X-Request-Id`.
//!
//! From a client that is no trusted proxy nothing of the kind is passed on, under any spelling
//! (`X-Forwarded-*`, `Forwarded`, `X-Real-IP`, underscores): a backend that believes one of them
//! must be able to. From a trusted one it is kept, the address that it connects from is appended to
//! `X-Forwarded-For`, and what it didn't say is added. Of a header that may stand only once the
//! last line counts, which is the one that the nearest proxy wrote.

use std::io::Write;
use std::net::IpAddr;

use crate::http1::head::Fields;
use crate::http1::name::Known;
use crate::http1::write::ForwardRequest;

/// How the client speaks to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Whether a line with this tag is left out here, to be written anew by [`write`] or not at all.
#[inline]
pub(crate) fn takes_out(known: Known, trusted: bool) -> bool {
    if !known.is_forwarding() {
        return false;
    }
    let is_kept = matches!(known, Known::Forwarded | Known::XForwardedOther | Known::XRealIp);
    !trusted || !is_kept
}

/// Writes the lines. `authority` is the host and port that the client asked for.
pub(crate) fn write(
    out: &mut Vec<u8>,
    input: &[u8],
    fields: &Fields,
    authority: &[u8],
    how: &ForwardRequest<'_>,
) {
    let scheme = how.scheme.name().as_bytes();
    let ours = how.request_id.unwrap_or_default();
    if how.trusted {
        let kept = |tag| fields.known(input, tag).filter(|value| !value.is_empty());
        write_chain(out, kept(Known::XForwardedFor), how.client);
        write_proto(out, kept(Known::XForwardedProto).last().unwrap_or(scheme));
        write_host(out, kept(Known::XForwardedHost).last().unwrap_or(authority));
        write_id(out, kept(Known::XRequestId).last().unwrap_or(ours));
    } else {
        write_chain(out, std::iter::empty(), how.client);
        write_proto(out, scheme);
        write_host(out, authority);
        write_id(out, ours);
    }
}

fn write_proto(out: &mut Vec<u8>, scheme: &[u8]) {
    write_line(out, b"X-Forwarded-Proto: ", scheme);
}

fn write_host(out: &mut Vec<u8>, host: &[u8]) {
    write_line(out, b"X-Forwarded-Host: ", host);
}

fn write_id(out: &mut Vec<u8>, id: &[u8]) {
    write_line(out, b"X-Request-Id: ", id);
}

/// Writes a line, unless it would say nothing.
#[inline]
fn write_line<const LENGTH: usize>(out: &mut Vec<u8>, name: &[u8; LENGTH], value: &[u8]) {
    if !value.is_empty() {
        out.extend_from_slice(name);
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the chain of addresses, the nearest last.
fn write_chain<'a>(
    out: &mut Vec<u8>,
    before: impl Iterator<Item = &'a [u8]>,
    client: Option<IpAddr>,
) {
    const NAME: &[u8] = b"X-Forwarded-For: ";
    let start = out.len();
    out.extend_from_slice(NAME);
    for value in before {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    match client {
        Some(address) => write_address(out, address),
        None if out.len() > start + NAME.len() => out.truncate(out.len() - 2),
        None => return out.truncate(start),
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an address; an IPv4 address that came mapped into IPv6 as what it is.
fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(four) => write_octets(out, four.octets()),
        // A write to a Vec can't fail.
        IpAddr::V6(six) => drop(write!(out, "{six}")),
    }
}

/// Writes an IPv4 address.
fn write_octets(out: &mut Vec<u8>, octets: [u8; 4]) {
    let mut text = [b'.'; 16];
    let mut at = 0;
    for octet in octets {
        if octet >= 100 {
            text[at] = b'0' + octet / 100;
            at += 1;
        }
        if octet >= 10 {
            text[at] = b'0' + octet / 10 % 10;
            at += 1;
        }
        text[at] = b'0' + octet % 10;
        // The dot behind it stands there already.
        at += 2;
    }
    out.extend_from_slice(&text[..at - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_people_read_them() {
        for (text, written) in [
            ("127.0.0.1", "127.0.0.1"),
            ("255.255.255.255", "255.255.255.255"),
            ("100.20.3.0", "100.20.3.0"),
            ("1.9.10.99", "1.9.10.99"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let mut out = Vec::new();
            write_address(&mut out, text.parse().expect("address"));
            assert_eq!(out, written.as_bytes());
        }
    }

    #[test]
    fn a_chain_without_addresses_is_no_line() {
        let written = |before: &[&'static [u8]], client: Option<&str>| {
            let mut out = b">".to_vec();
            let client = client.map(|text| text.parse().expect("address"));
            write_chain(&mut out, before.iter().copied(), client);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(written(&[], None), ">");
        assert_eq!(
            written(&[b"1.1.1.1", b"2.2.2.2"], None),
            ">X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
        );
        assert_eq!(
            written(&[b"1.1.1.1"], Some("9.9.9.9")),
            ">X-Forwarded-For: 1.1.1.1, 9.9.9.9\r\n"
        );
        assert_eq!(written(&[], Some("9.9.9.9")), ">X-Forwarded-For: 9.9.9.9\r\n");
    }
}
