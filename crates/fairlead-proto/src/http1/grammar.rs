//! Which bytes may stand where, and scans over them.
//!
//! A table of one byte per byte value answers for every alphabet. Names, targets and values are
//! scanned eight bytes at a time: what nearly all of them consist of is told from anything else by a
//! few additions on a word, and only what is left is looked up. No rule is applied here, only
//! alphabets.

/// `tchar` of RFC 9110 §5.6.2.
const TOKEN: u8 = 1;
/// What a request target may consist of: visible ASCII without `#`. RFC 3986 allows less, but
/// browsers send `|`, `{`, `^` and `\` as they are; they have one reading, so they pass.
const TARGET: u8 = 2;
/// What a host name may consist of: `unreserved` of RFC 3986 §2.3. Its `reg-name` allows
/// `sub-delims` and percent-encoding too, which no host name has and which parsers read
/// differently (a comma once made two hosts out of one).
const HOST: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0_u8; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() || in_list(byte, b"!#$%&'*+-.^_`|~") {
            class |= TOKEN;
        }
        if byte.is_ascii_graphic() && byte != b'#' {
            class |= TARGET;
        }
        if byte.is_ascii_alphanumeric() || in_list(byte, b"-._~") {
            class |= HOST;
        }
        classes[byte as usize] = class;
        byte += 1;
    }
    classes
}

const fn in_list(byte: u8, list: &[u8]) -> bool {
    let mut index = 0;
    while index < list.len() {
        if list[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether `bytes` is a token: one `tchar` or more.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && end_of(TOKEN, bytes, 0) == bytes.len()
}

/// Where the token that begins at `from` ends.
#[inline]
pub(crate) fn token_end(bytes: &[u8], from: usize) -> usize {
    bytes.len() - behind_name(&bytes[from..]).0.len()
}

/// What is behind the token at the start of `text`, and whether that token is plain: of letters and
/// dashes alone, as nearly all names of headers are.
#[inline]
pub(crate) fn behind_name(text: &[u8]) -> (&[u8], bool) {
    let (mut rest, mut plain) = (text, true);
    while let Some((eight, more)) = rest.split_first_chunk::<8>() {
        let odd = not_plain(u64::from_le_bytes(*eight));
        if odd == 0 {
            rest = more;
            continue;
        }
        rest = &rest[first(odd)..];
        match rest {
            [byte, more @ ..] if CLASSES[usize::from(*byte)] & TOKEN != 0 => rest = more,
            _ => return (rest, plain),
        }
        plain = false;
    }
    // The last few bytes of the input: a head that is whole has its end behind them.
    (&rest[end_of(TOKEN, rest, 0)..], false)
}

/// Where the request target that begins at `from` ends.
#[inline]
pub(crate) fn target_end(bytes: &[u8], from: usize) -> usize {
    let mut rest = &bytes[from..];
    while let Some((eight, more)) = rest.split_first_chunk::<8>() {
        let odd = not_in_target(u64::from_le_bytes(*eight));
        if odd != 0 {
            return bytes.len() - rest.len() + first(odd);
        }
        rest = more;
    }
    end_of(TARGET, bytes, bytes.len() - rest.len())
}

/// Where the host name that begins at `from` ends.
#[inline]
pub(crate) fn host_end(bytes: &[u8], from: usize) -> usize {
    end_of(HOST, bytes, from)
}

#[inline]
fn end_of(class: u8, bytes: &[u8], from: usize) -> usize {
    let outside = |byte: &u8| CLASSES[usize::from(*byte)] & class == 0;
    bytes[from..].iter().position(outside).map_or(bytes.len(), |length| from + length)
}

/// Where the field value that begins at `from` ends.
#[inline]
pub(crate) fn value_end(bytes: &[u8], from: usize) -> usize {
    bytes.len() - behind_value(&bytes[from..]).len()
}

/// What is behind the field value at the start of `text`: from the first control byte on that is no
/// tab. (RFC 9110 §5.5: visible ASCII, space, tab, and bytes above 0x7F.)
#[inline]
pub(crate) fn behind_value(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let Some((eight, more)) = rest.split_first_chunk::<8>() {
        let odd = controls(u64::from_le_bytes(*eight));
        if odd == 0 {
            rest = more;
            continue;
        }
        rest = &rest[first(odd)..];
        match rest {
            [b'\t', more @ ..] => rest = more,
            _ => return rest,
        }
    }
    let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    &rest[rest.iter().position(control).unwrap_or(rest.len())..]
}

/// Which of eight bytes is the first whose high bit is set.
#[inline]
fn first(high: u64) -> usize {
    (high.trailing_zeros() / 8) as usize
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// The high bit of each byte of `word` that is neither a letter nor a dash. No sum below passes the
/// byte that it begins in.
#[inline]
fn not_plain(word: u64) -> u64 {
    let low = word & !HIGH;
    let small = low | (ONES * 0x20);
    let from_a = small + ONES * (0x80 - b'a' as u64);
    let behind_z = small + ONES * (0x7F - b'z' as u64);
    let no_dash = (low ^ (ONES * b'-' as u64)) + ONES * 0x7F;
    ((!from_a | behind_z) & no_dash | word) & HIGH
}

/// The high bit of each byte of `word` that may not stand in a target, as above.
#[inline]
fn not_in_target(word: u64) -> u64 {
    let low = word & !HIGH;
    let visible = low + ONES * (0x80 - 0x21);
    let delete = low + ONES;
    let no_hash = (low ^ (ONES * b'#' as u64)) + ONES * 0x7F;
    (!(visible & no_hash) | delete | word) & HIGH
}

/// The high bit of the first byte of `word` that is a control byte (below 0x20, or 0x7F). Bits of
/// bytes above that one may be set wrongly: a borrow runs upwards, never downwards.
#[inline]
fn controls(word: u64) -> u64 {
    let low = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7F);
    let deletes = delete.wrapping_sub(ONES) & !delete;
    (low | deletes) & HIGH
}

/// `bytes` without spaces and tabs at its ends.
#[inline]
pub(crate) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, trimmed; empty ones are passed over, as RFC 9110
/// §5.6.1.2 asks of recipients.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trimmed).filter(|element| !element.is_empty())
}

/// Reads a decimal number of digits alone; `None` for anything else, and above 2⁶⁴ − 1.
#[inline]
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Writes a decimal number.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_fifteen_marks_letters_and_digits() {
        let tokens = (0..=255_u8).filter(|byte| is_token(&[*byte])).count();
        assert_eq!(tokens, 15 + 52 + 10);
        assert!(!is_token(b"") && !is_token(b"a b") && is_token(b"a!b"));
    }

    #[test]
    fn a_name_ends_at_the_first_byte_that_is_none_of_a_token_wherever_it_stands() {
        for byte in 0..=255_u8 {
            for before in 0..20 {
                let mut line = b"Aazz-ZmM".iter().cycle().take(before).copied().collect::<Vec<_>>();
                line.push(byte);
                line.extend_from_slice(b"x: and what is behind");
                let plain = byte.is_ascii_alphabetic() || byte == b'-';
                let end = if is_token(&[byte]) { before + 2 } else { before };
                let (rest, is_plain) = behind_name(&line);
                assert_eq!(line.len() - rest.len(), end, "{byte} {before}");
                assert_eq!(is_plain, plain || end == before, "{byte} {before}");
                line.truncate(end);
                assert_eq!(token_end(&line, 0), end, "{byte} {before}");
            }
        }
    }

    #[test]
    fn a_target_ends_at_the_first_byte_that_may_not_stand_in_one() {
        for byte in 0..=255_u8 {
            for before in 0..20 {
                let mut line = vec![b'/'; before];
                line.push(byte);
                line.extend_from_slice(b" HTTP/1.1\r\n");
                let end = before + usize::from(byte.is_ascii_graphic() && byte != b'#');
                assert_eq!(target_end(&line, 0), end, "{byte} {before}");
            }
        }
    }

    #[test]
    fn a_value_ends_at_the_first_control_byte_wherever_it_stands() {
        for length in 0..40 {
            for bad in (0..=0x1F).chain([0x7F]).filter(|byte| *byte != b'\t') {
                let mut value: Vec<u8> =
                    (0..length).map(|at| if at % 3 == 0 { b'\t' } else { 0x80 | at }).collect();
                value.push(bad);
                value.extend_from_slice(b"\0after it\x7F");
                assert_eq!(value_end(&value, 0), usize::from(length));
            }
        }
    }

    #[test]
    fn every_byte_that_may_stand_in_a_value_does() {
        let fine: Vec<u8> = (0..=255).filter(|byte: &u8| *byte == 9 || *byte > 31).collect();
        let fine: Vec<u8> = fine.into_iter().filter(|byte| *byte != 0x7F).collect();
        for from in 0..fine.len() {
            assert_eq!(value_end(&fine, from), fine.len());
        }
    }

    #[test]
    fn numbers_are_digits_alone_and_fit() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"0012"), Some(12));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [&b""[..], b"18446744073709551616", b"+1", b"-1", b"1 ", b"0x1", b"1_0", b":"]
        {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
        for value in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, value);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }

    #[test]
    fn lists_pass_over_empty_elements() {
        let elements: Vec<_> = list(b" ,a ,\t b,,").collect();
        assert_eq!(elements, [b"a", b"b"]);
    }
}
