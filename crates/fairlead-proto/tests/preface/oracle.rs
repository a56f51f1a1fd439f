//! What holds for any bytes as a PROXY header. Shared by the property tests and the fuzz target.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fairlead_proto::proxy::{crc32c, read, write_v1, write_v2, Origin, Preface, V2_BYTES};

/// Checks all of it.
pub(crate) fn check(input: &[u8]) {
    let whole = read(input);
    assert_eq!(whole, slow(input), "two readers differ");
    check_pieces(input, whole);
    if let Preface::Whole { length, origin } = whole {
        assert!(length <= input.len() && length <= V2_BYTES);
        assert_eq!(read(&input[..length]), whole, "what follows is not looked at");
        check_written(&origin);
    }
}

/// However it comes, the answer is the same, and it is given once and for all.
fn check_pieces(input: &[u8], whole: Preface) {
    let mut settled = None;
    for end in 0..=input.len().min(400) {
        let now = read(&input[..end]);
        if let Some(before) = settled {
            assert_eq!(now, before, "the answer changed at {end}");
        } else if now != Preface::Partial {
            settled = Some(now);
        }
    }
    if let Some(settled) = settled {
        assert_eq!(whole, settled);
    }
}

/// What is written reads as what was meant.
pub(crate) fn check_written(origin: &Origin) {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    write_v1(&mut one, origin);
    write_v2(&mut two, origin);
    let meant = plain(origin);
    assert_eq!(read(&two), Preface::Whole { length: two.len(), origin: meant });
    let meant = if meant == Origin::Local { Origin::Unknown } else { meant };
    assert_eq!(read(&one), Preface::Whole { length: one.len(), origin: meant });
}

/// Addresses as they are written: of one family.
fn plain(origin: &Origin) -> Origin {
    let Origin::Client { source, destination } = *origin else { return *origin };
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(four) => SocketAddr::new(four.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (from, to) = (canonical(source), canonical(destination));
    if from.is_ipv4() == to.is_ipv4() {
        Origin::Client { source: from, destination: to }
    } else {
        Origin::Client { source: mapped(from), destination: mapped(to) }
    }
}

/// A second reader, made in another way: it says what a header would have to be, and compares.
fn slow(input: &[u8]) -> Preface {
    const SIGNATURE: &[u8] = &[13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
    let is_two = input.iter().zip(SIGNATURE).all(|(one, other)| one == other);
    let is_one = input.iter().zip(b"PROXY ").all(|(one, other)| one == other);
    match (is_two, is_one) {
        (true, _) => slow_two(input).unwrap_or_else(|| refused(input)),
        (_, true) => slow_one(input).unwrap_or_else(|| refused(input)),
        _ => refused(input),
    }
}

/// The words of a refusal are the reader's own; that it is one is what is compared.
fn refused(input: &[u8]) -> Preface {
    match read(input) {
        refused @ Preface::Refused(_) => refused,
        other => panic!("{other:?} where the second reader refuses"),
    }
}

fn slow_two(input: &[u8]) -> Option<Preface> {
    let mut bytes = input.iter().copied().skip(12);
    let Some(command) = bytes.next() else { return Some(Preface::Partial) };
    if command != 32 && command != 33 {
        return None;
    }
    let (Some(family), Some(high), Some(low)) = (bytes.next(), bytes.next(), bytes.next()) else {
        return Some(Preface::Partial);
    };
    let length = usize::from(high) * 256 + usize::from(low) + 16;
    if length > 16_384 {
        return None;
    }
    if input.len() < length {
        return Some(Preface::Partial);
    }
    if command == 32 {
        return Some(Preface::Whole { length, origin: Origin::Local });
    }
    let block = &input[16..length];
    let (origin, used) = match family {
        0x00..=0x02 => (Origin::Unknown, 0),
        0x11 | 0x12 => (addresses(block, 4)?, 12),
        0x21 | 0x22 => (addresses(block, 16)?, 36),
        0x31 | 0x32 if block.len() >= 216 => (Origin::Unknown, 216),
        _ => return None,
    };
    let (mut rest, mut seen) = (&block[used..], false);
    while let [kind, high, low, more @ ..] = rest {
        let size = usize::from(*high) * 256 + usize::from(*low);
        let (value, next) = more.split_at_checked(size)?;
        if *kind == 3 {
            let said: [u8; 4] = value.try_into().ok()?;
            let at = length - more.len();
            let mut zeroed = input[..length].to_vec();
            zeroed[at..at + 4].fill(0);
            if seen || u32::from_be_bytes(said) != crc32c(&[&zeroed]) {
                return None;
            }
            seen = true;
        }
        rest = next;
    }
    rest.is_empty().then_some(Preface::Whole { length, origin })
}

fn addresses(block: &[u8], size: usize) -> Option<Origin> {
    let (source, rest) = block.split_at_checked(size)?;
    let (destination, rest) = rest.split_at_checked(size)?;
    let ip = |octets: &[u8]| -> Option<IpAddr> {
        let four = <[u8; 4]>::try_from(octets).map(|four| IpAddr::V4(Ipv4Addr::from(four)));
        let six = <[u8; 16]>::try_from(octets).map(|six| IpAddr::V6(Ipv6Addr::from(six)));
        four.or(six).ok()
    };
    let [one, two, three, four, ..] = rest else { return None };
    let port = |high: &u8, low: &u8| u16::from(*high) * 256 + u16::from(*low);
    Some(Origin::Client {
        source: SocketAddr::new(ip(source)?, port(one, two)),
        destination: SocketAddr::new(ip(destination)?, port(three, four)),
    })
}

fn slow_one(input: &[u8]) -> Option<Preface> {
    let looked = &input[..input.len().min(107)];
    let Some(end) = looked.iter().position(|byte| matches!(byte, 13 | 10)) else {
        return (looked.len() < 107).then_some(Preface::Partial);
    };
    if looked[end] == 10 {
        return None;
    }
    match looked.get(end + 1) {
        Some(10) => {}
        None if end < 106 => return Some(Preface::Partial),
        _ => return None,
    }
    let text = std::str::from_utf8(&looked[6..end]).ok()?;
    let length = end + 2;
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(Preface::Whole { length, origin: Origin::Unknown });
    }
    let (source, destination): (SocketAddr, SocketAddr) = match text.split_once(' ')? {
        ("TCP4", rest) => both(rest, |ip, port| format!("{ip}:{port}"))?,
        ("TCP6", rest) => both(rest, |ip, port| format!("[{ip}]:{port}"))?,
        _ => return None,
    };
    let same = source.is_ipv4() == text.starts_with("TCP4");
    same.then_some(Preface::Whole { length, origin: Origin::Client { source, destination } })
}

fn both(rest: &str, join: fn(&str, &str) -> String) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = rest.splitn(4, ' ');
    let (from, to) = (words.next()?, words.next()?);
    let (one, other) = (words.next()?, words.next()?);
    // Numbers are written in one way: what is read and written again is the same.
    let number = |text: &str| text.parse::<u16>().is_ok_and(|number| number.to_string() == text);
    if !number(one) || !number(other) || from.contains('%') || to.contains('%') {
        return None;
    }
    Some((join(from, one).parse().ok()?, join(to, other).parse().ok()?))
}
