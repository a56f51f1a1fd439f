//! Version 1: a line of text, `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and CRLF.
//!
//! One space between words, addresses in the usual form of their family, ports without leading
//! zeros: as the specification has it, and as every proxy writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

use super::{Origin, Preface, V1_BYTES};

pub(super) const PREFIX: &[u8] = b"PROXY ";

const UNKNOWN: &str = "UNKNOWN";

/// Reads the line at the beginning of `bytes`, which begin with [`PREFIX`] as far as they go.
pub(super) fn read(bytes: &[u8]) -> Preface {
    let looked = &bytes[..bytes.len().min(V1_BYTES)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', looked) else {
        return match looked.len() {
            V1_BYTES => Preface::Refused("its line is longer than 107 bytes"),
            _ => Preface::Partial,
        };
    };
    match looked.get(end..end + 2) {
        Some(b"\r\n") => {}
        None if looked[end] == b'\r' && end + 1 < V1_BYTES => return Preface::Partial,
        _ => return Preface::Refused("its line does not end with CRLF"),
    }
    let line = looked.get(PREFIX.len()..end).and_then(|line| str::from_utf8(line).ok());
    match line.and_then(origin) {
        Some(origin) => Preface::Whole { length: end + 2, origin },
        None => Preface::Refused("its line is not of the form of version 1"),
    }
}

/// What the line says, without its first word.
fn origin(line: &str) -> Option<Origin> {
    let (family, rest) = line.split_once(' ').unwrap_or((line, ""));
    if family == UNKNOWN {
        // Whatever follows is to be ignored (§2.1).
        return Some(Origin::Unknown);
    }
    let words: Vec<&str> = rest.split(' ').collect();
    let [source, destination, from, to] = words[..] else { return None };
    let address: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    Some(Origin::Client {
        source: SocketAddr::new(address(source)?, port(from)?),
        destination: SocketAddr::new(address(destination)?, port(to)?),
    })
}

fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| plain && !leading)
}
