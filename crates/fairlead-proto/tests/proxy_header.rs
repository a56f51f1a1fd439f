//! PROXY headers: those of the specification, those that are nearly one, and any bytes.

#[path = "preface/oracle.rs"]
mod oracle;

use std::net::SocketAddr;

use fairlead_proto::proxy::{crc32c, read, Origin, Preface, V1_BYTES, V2_BYTES};
use proptest::collection::vec;
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2.
fn two(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// The addresses of a client over IPv4, and what stands behind them.
fn four(behind: &[u8]) -> Vec<u8> {
    [&[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb], behind].concat()
}

fn client(source: &str, destination: &str) -> Origin {
    let parse = |text: &str| text.parse::<SocketAddr>().expect("address");
    Origin::Client { source: parse(source), destination: parse(destination) }
}

fn usual() -> Origin {
    client("192.0.2.1:56324", "198.51.100.1:443")
}

#[track_caller]
fn says(bytes: &[u8], origin: Origin) {
    oracle::check(bytes);
    let behind = [bytes, b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(read(&behind), Preface::Whole { length: bytes.len(), origin });
}

#[track_caller]
fn is_refused(bytes: &[u8], because: &str) {
    oracle::check(bytes);
    match read(bytes) {
        Preface::Refused(what) => assert!(what.contains(because), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn headers_of_version_1_are_read() {
    says(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", usual());
    says(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", client("[2001:db8::1]:1", "[::1]:65535"));
    says(b"PROXY TCP4 255.255.255.255 255.255.255.255 0 65535\r\n", {
        client("255.255.255.255:0", "255.255.255.255:65535")
    });
    says(b"PROXY UNKNOWN\r\n", Origin::Unknown);
    let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 91], b"\r\n"].concat();
    assert_eq!(longest.len(), V1_BYTES);
    says(&longest, Origin::Unknown);
}

#[test]
fn what_is_nearly_version_1_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +5632 443\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 ::1 ::1 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP6 fe80::1%1 ::1 56324 443\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY \r\n",
        "PROXY TCP4 \u{664} 198.51.100.1 56324 443\r\n",
    ] {
        is_refused(line.as_bytes(), "not of the form of version 1");
    }
    is_refused(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n", "does not end with CRLF");
    is_refused(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\r\n", "does not end with CRLF");
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 92], b"\r\n"].concat();
    is_refused(&long, "CRLF");
    is_refused(&[b"PROXY UNKNOWN ".as_slice(), &[b'f'; 93]].concat(), "longer than 107");
}

#[test]
fn what_is_no_header_is_refused_at_the_first_byte_that_shows_it() {
    for bytes in [&b"G"[..], b"PROXX", b"proxy ", b"\r\n\r\n\0\r\nQUIT\r", b"\x16\x03\x01", b"\0"] {
        is_refused(bytes, "does not begin with a PROXY header");
    }
    is_refused(&[SIGNATURE, &[0x11]].concat(), "version is not 2");
    is_refused(&[SIGNATURE, &[0x22]].concat(), "version is not 2");
}

#[test]
fn headers_of_version_2_are_read() {
    says(&two(0x21, 0x11, &four(b"")), usual());
    says(&two(0x21, 0x12, &four(b"")), usual());
    let six = [[0x20; 16], [0x10; 16]].concat();
    says(&two(0x21, 0x21, &[&six[..], &[0, 1, 0xff, 0xff]].concat()), {
        client(
            "[2020:2020:2020:2020:2020:2020:2020:2020]:1",
            "[1010:1010:1010:1010:1010:1010:1010:1010]:65535",
        )
    });
    says(&two(0x21, 0x31, &[b'/'; 216]), Origin::Unknown);
    says(&two(0x21, 0x00, b""), Origin::Unknown);
}

#[test]
fn what_the_proxy_does_for_itself_is_told_apart_and_not_looked_at() {
    says(&two(0x20, 0x00, b""), Origin::Local);
    says(&two(0x20, 0x11, &four(b"")), Origin::Local);
    says(&two(0x20, 0xff, b"anything"), Origin::Local);
}

#[test]
fn tlvs_are_passed_over_and_must_fill_the_header() {
    let alpn = [1, 0, 2, b'h', b'2'];
    says(&two(0x21, 0x11, &four(&[&alpn[..], &[4, 0, 0], &[0xe0, 0, 1, 9]].concat())), usual());
    is_refused(&two(0x21, 0x11, &four(&[1, 0])), "breaks off");
    is_refused(&two(0x21, 0x11, &four(&[1, 0, 3, b'h', b'2'])), "longer than the header");
    is_refused(&two(0x21, 0x11, &four(b"")[..11]), "too short for its addresses");
    is_refused(&two(0x21, 0x31, &[b'/'; 215]), "too short for its addresses");
    is_refused(&two(0x21, 0x41, &four(b"")), "address family");
    is_refused(&two(0x21, 0x13, &four(b"")), "address family");
}

#[test]
fn a_checksum_has_to_be_right() {
    let make = |sum: [u8; 4]| {
        let tlvs = [&[1, 0, 2, b'h', b'2', 3, 0, 4][..], &sum, &[4, 0, 1, 0]].concat();
        two(0x21, 0x11, &four(&tlvs))
    };
    let right = crc32c(&[&make([0; 4])]);
    says(&make(right.to_be_bytes()), usual());
    is_refused(&make((right ^ 1).to_be_bytes()), "checksum is wrong");
    is_refused(&make([0; 4]), "checksum is wrong");
    is_refused(&two(0x21, 0x11, &four(&[3, 0, 3, 0, 0, 0])), "not of four bytes");
    let twice = [3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0];
    is_refused(&two(0x21, 0x11, &four(&twice)), "more than one checksum");
}

#[test]
fn a_header_that_is_too_long_is_refused_before_it_has_come() {
    let length = (V2_BYTES - 16) as u16;
    let head = |length: u16| [SIGNATURE, &[0x21, 0x11], &length.to_be_bytes()].concat();
    assert_eq!(read(&head(length)), Preface::Partial);
    is_refused(&head(length + 1), "longer than 16 KiB");
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
        any::<([u8; 4], u16)>().prop_map(|(four, port)| {
            (std::net::Ipv4Addr::from(four).to_ipv6_mapped(), port).into()
        }),
    ]
}

/// A header of version 2 that is nearly right, of parts that are.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let tlv = (0_u8..6, vec(any::<u8>(), 0..6))
        .prop_map(|(kind, value)| [&[kind, 0, value.len() as u8][..], &value].concat());
    let family = prop::sample::select(vec![0x00, 0x11, 0x12, 0x21, 0x31, 0x13, 0xf0]);
    let block = prop::sample::select(vec![0_usize, 11, 12, 36, 216]);
    (0x1f_u8..0x23, family, block, vec(tlv, 0..4)).prop_map(|(command, family, block, tlvs)| {
        two(command, family, &[vec![7; block], tlvs.concat()].concat())
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(source in addresses(), destination in addresses()) {
        oracle::check_written(&Origin::Client { source, destination });
    }

    #[test]
    fn two_readers_agree_on_what_is_nearly_a_header(
        mut bytes in nearly(),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        behind in vec(any::<u8>(), 0..4),
    ) {
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(behind);
        oracle::check(&bytes);
    }

    #[test]
    fn two_readers_agree_on_lines(line in "PROXY (TCP4|TCP6|UNKNOWN|[A-Z]{3})[ 0-9a-f.:]{0,60}(\r\n|\n|\r)?") {
        oracle::check(line.as_bytes());
    }

    #[test]
    fn two_readers_agree_on_any_bytes(bytes in vec(any::<u8>(), 0..40)) {
        oracle::check(&bytes);
    }
}

#[test]
fn what_has_no_address_is_written_too() {
    oracle::check_written(&Origin::Local);
    oracle::check_written(&Origin::Unknown);
}
