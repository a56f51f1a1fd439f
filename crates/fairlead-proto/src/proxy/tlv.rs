//! What stands behind the addresses of version 2: types, lengths, values. All are passed over; they
//! have to fill the header exactly, and a checksum among them has to be right.

use super::checksum::crc32c;

const CHECKSUM: u8 = 0x03;

/// Checks the TLVs of `header`, which begin at `start` and end with it.
pub(super) fn check(header: &[u8], start: usize) -> Result<(), &'static str> {
    let (mut at, mut sum) = (start, None);
    while at < header.len() {
        let Some([kind, high, low]) = header.get(at..at + 3) else {
            return Err("a TLV of it breaks off");
        };
        let value = at + 3;
        let end = value + usize::from(u16::from_be_bytes([*high, *low]));
        if end > header.len() {
            return Err("a TLV of it is longer than the header");
        }
        if *kind == CHECKSUM && (end - value != 4 || sum.replace(value).is_some()) {
            return Err("it has more than one checksum, or one that is not of four bytes");
        }
        at = end;
    }
    let Some(place) = sum else { return Ok(()) };
    let (before, behind) = header.split_at(place);
    let (said, after) = behind.split_at(4);
    // It was made over the header with four zeros in its own place.
    let right = crc32c(&[before, &[0; 4], after]).to_be_bytes() == said;
    right.then_some(()).ok_or("its checksum is wrong")
}
