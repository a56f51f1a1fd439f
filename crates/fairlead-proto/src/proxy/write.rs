//! Headers written for a backend: what was found out about the client, never a copy of what came.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::{Origin, SIGNATURE};

/// Writes a header of version 1. [`Origin::Local`] has no form of its own there: as others do, it is
/// said as `UNKNOWN`, which backends answer with the connection's own address.
pub fn write_v1(out: &mut Vec<u8>, origin: &Origin) {
    let Origin::Client { source, destination } = origin else {
        return out.extend_from_slice(b"PROXY UNKNOWN\r\n");
    };
    let (family, from, to) = match same_family(source.ip(), destination.ip()) {
        (from @ IpAddr::V4(_), to) => ("TCP4", from, to),
        (from @ IpAddr::V6(_), to) => ("TCP6", from, to),
    };
    let (source, destination) = (source.port(), destination.port());
    // A write to a Vec can't fail.
    drop(write!(out, "PROXY {family} {from} {to} {source} {destination}\r\n"));
}

/// Writes a header of version 2, without TLVs.
pub fn write_v2(out: &mut Vec<u8>, origin: &Origin) {
    out.extend_from_slice(SIGNATURE);
    match origin {
        Origin::Local => out.extend_from_slice(&[0x20, 0x00, 0, 0]),
        Origin::Unknown => out.extend_from_slice(&[0x21, 0x00, 0, 0]),
        Origin::Client { source, destination } => write_addresses(out, *source, *destination),
    }
}

fn write_addresses(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) {
    match same_family(source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 36]);
            out.extend_from_slice(&octets(from));
            out.extend_from_slice(&octets(to));
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

/// Both as IPv4 if both are, however they are clothed; else both as IPv6.
fn same_family(from: IpAddr, to: IpAddr) -> (IpAddr, IpAddr) {
    match (from.to_canonical(), to.to_canonical()) {
        both @ ((IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_))) => both,
        (from, to) => (octets(from).into(), octets(to).into()),
    }
}

/// An address in sixteen bytes.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}
