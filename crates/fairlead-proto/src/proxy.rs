//! The PROXY protocol, versions 1 and 2: who the client is, said by a proxy before its first byte.
//!
//! Decides where a header ends, whether it is one, and what it says. A header is taken as it stands
//! in the specification (`HAProxy`'s `proxy-protocol.txt`, revision 2020/03) or not at all: what
//! follows it is the client's, so a header that could be read in two ways would let a client's bytes
//! be taken for a proxy's. Its length is exact, its TLVs fill it to the last byte, and a checksum that
//! is there must be right (Envoy's CVE-2026-47692: TLVs that spill into the stream).
//!
//! Doesn't know whose headers are believed: there is no look at the bytes whether one may be there.
//! Whoever calls expects one from this connection, or doesn't call.

mod checksum;
mod text;
mod tlv;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use checksum::crc32c;
pub use write::{write_v1, write_v2};

/// The longest header of version 1, CRLF included: `PROXY UNKNOWN` and two full IPv6 addresses.
pub const V1_BYTES: usize = 107;

/// The longest header of version 2 that is read. The format allows 64 KiB; what is sent is under a
/// kilobyte, or a few with a client's certificate in it.
pub const V2_BYTES: usize = 16 * 1024;

/// What every header of version 2 begins with: nothing that a client of any protocol would say.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length of the rest.
const V2_FIXED: usize = 16;

/// Who is at the other end of what a proxy passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The proxy itself: a check of its own.
    Local,
    /// Somebody whose address it doesn't tell: a Unix socket, or a family that it doesn't know.
    Unknown,
    /// This client.
    Client {
        /// Where the client connects from.
        source: SocketAddr,
        /// What it connected to.
        destination: SocketAddr,
    },
}

/// What came of a look at the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preface {
    /// So far it can become a header.
    Partial,
    /// A header.
    Whole {
        /// Its bytes; what follows them is the client's.
        length: usize,
        /// What it says.
        origin: Origin,
    },
    /// It is none.
    Refused(&'static str),
}

/// Reads the header at the beginning of `bytes`, which are all that has come so far.
///
/// To be called again with more bytes after [`Preface::Partial`]. Needs no more than
/// [`V2_BYTES`] of them to answer otherwise.
pub fn read(bytes: &[u8]) -> Preface {
    if starts_like(bytes, SIGNATURE) {
        return match bytes.len() {
            0..V2_FIXED => fixed_so_far(bytes),
            _ => read_v2(bytes),
        };
    }
    if starts_like(bytes, text::PREFIX) {
        return text::read(bytes);
    }
    Preface::Refused("it does not begin with a PROXY header")
}

/// Whether `bytes` begin with `wanted`, as far as there are any.
fn starts_like(bytes: &[u8], wanted: &[u8]) -> bool {
    let common = bytes.len().min(wanted.len());
    bytes[..common] == wanted[..common]
}

/// The first bytes of version 2, not all there: what is wrong already is said at once.
fn fixed_so_far(bytes: &[u8]) -> Preface {
    match bytes.get(SIGNATURE.len()) {
        Some(&command) if !is_command(command) => Preface::Refused(BAD_COMMAND),
        _ => Preface::Partial,
    }
}

const BAD_COMMAND: &str = "its version is not 2, or its command neither LOCAL nor PROXY";

fn is_command(byte: u8) -> bool {
    matches!(byte, 0x20 | 0x21)
}

fn read_v2(bytes: &[u8]) -> Preface {
    let (command, family) = (bytes[12], bytes[13]);
    if !is_command(command) {
        return Preface::Refused(BAD_COMMAND);
    }
    let rest = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let length = V2_FIXED + rest;
    if length > V2_BYTES {
        return Preface::Refused("it is longer than 16 KiB");
    }
    let Some(header) = bytes.get(..length) else { return Preface::Partial };
    if command == 0x20 {
        // Whatever it carries is to be discarded, the family included (§2.2).
        return Preface::Whole { length, origin: Origin::Local };
    }
    // Families are the upper four bits; the lower four say stream or datagram, which means nothing
    // here: the client's own way to the proxy may have been QUIC.
    let (addresses, origin) = match (family >> 4, family & 0xf) {
        (0x0, 0x0..=0x2) => (0, Some(Origin::Unknown)),
        (0x1, 0x1 | 0x2) => (12, four(&header[V2_FIXED..])),
        (0x2, 0x1 | 0x2) => (36, six(&header[V2_FIXED..])),
        (0x3, 0x1 | 0x2) => (216, (rest >= 216).then_some(Origin::Unknown)),
        _ => return Preface::Refused("its address family is not one of the specification's"),
    };
    let Some(origin) = origin else {
        return Preface::Refused("it is too short for its addresses");
    };
    match tlv::check(header, V2_FIXED + addresses) {
        Ok(()) => Preface::Whole { length, origin },
        Err(what) => Preface::Refused(what),
    }
}

fn four(block: &[u8]) -> Option<Origin> {
    let block: &[u8; 12] = block.first_chunk()?;
    let ip = |at: usize| -> IpAddr {
        Ipv4Addr::new(block[at], block[at + 1], block[at + 2], block[at + 3]).into()
    };
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    Some(Origin::Client {
        source: SocketAddr::new(ip(0), port(8)),
        destination: SocketAddr::new(ip(4), port(10)),
    })
}

fn six(block: &[u8]) -> Option<Origin> {
    let block: &[u8; 36] = block.first_chunk()?;
    let ip = |at: usize| -> IpAddr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&block[at..at + 16]);
        Ipv6Addr::from(octets).into()
    };
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    Some(Origin::Client {
        source: SocketAddr::new(ip(0), port(32)),
        destination: SocketAddr::new(ip(16), port(34)),
    })
}
