//! Texts of others in lines of ours, such that no byte of theirs can end a field or a line, or
//! move a terminal's cursor: every line is printable ASCII.
//!
//! A text longer than [`TEXT_BYTES`] is cut, and says so.

/// Bytes kept of one text. Browsers and servers stop at about 8,000 for a whole address.
const TEXT_BYTES: usize = 8 * 1024;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` as the inside of a JSON string. What is no UTF-8 becomes U+FFFD.
pub(super) fn json(to: &mut Vec<u8>, text: &[u8]) {
    let (text, cut) = bounded(text);
    // Nearly every text is. Looked at to its end, so that many bytes are looked at at once.
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        to.extend_from_slice(text);
    } else {
        json_odd(to, text);
    }
    if cut {
        to.extend_from_slice(b"\\u2026");
    }
}

fn json_odd(to: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        json_valid(to, chunk.valid());
        if !chunk.invalid().is_empty() {
            to.extend_from_slice(b"\\ufffd");
        }
    }
}

fn json_valid(to: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let plain = bytes[at..].iter().position(|byte| !is_plain(*byte));
        let end = plain.map_or(bytes.len(), |length| at + length);
        to.extend_from_slice(&bytes[at..end]);
        let Some(special) = text[end..].chars().next() else { return };
        json_special(to, special);
        at = end + special.len_utf8();
    }
}

fn json_special(to: &mut Vec<u8>, special: char) {
    match special {
        '"' | '\\' => to.extend_from_slice(&[b'\\', special as u8]),
        _ => {
            for unit in special.encode_utf16(&mut [0; 2]) {
                let digit = |shift: u16| DIGITS[usize::from(*unit >> shift & 15)];
                to.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
        }
    }
}

/// Appends `text` as the inside of a quoted field of the Combined Log Format: quotes, backslashes
/// and all that is not printable ASCII as `\xHH`, as nginx does.
pub(super) fn combined(to: &mut Vec<u8>, text: &[u8]) {
    let (text, cut) = bounded(text);
    for byte in text {
        if is_plain(*byte) {
            to.push(*byte);
        } else {
            let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
            to.extend_from_slice(&[b'\\', b'x', high, low]);
        }
    }
    if cut {
        to.extend_from_slice(b"...");
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn bounded(text: &[u8]) -> (&[u8], bool) {
    if text.len() <= TEXT_BYTES {
        return (text, false);
    }
    // Not within a character.
    let mut end = TEXT_BYTES;
    while end > TEXT_BYTES - 4 && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    (&text[..end], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_json(text: &[u8]) -> String {
        let mut out = Vec::new();
        json(&mut out, text);
        String::from_utf8(out).expect("ASCII")
    }

    fn as_combined(text: &[u8]) -> String {
        let mut out = Vec::new();
        combined(&mut out, text);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        let plain = b"/a?b=c&d=%20 (x; y) ~!";
        assert_eq!(as_json(plain).as_bytes(), plain);
        assert_eq!(as_combined(plain).as_bytes(), plain);
    }

    #[test]
    fn what_could_end_a_field_or_a_line_is_escaped() {
        assert_eq!(as_json(b"\",\"status\":200}\n{"), "\\\",\\\"status\\\":200}\\u000a{");
        assert_eq!(as_json(b"a\\"), "a\\\\");
        assert_eq!(as_json(b"\x1b[2J\x7f\0\t"), "\\u001b[2J\\u007f\\u0000\\u0009");
        assert_eq!(as_combined(b"\" 200 1 \"\\\r\n\x1b"), "\\x22 200 1 \\x22\\x5c\\x0d\\x0a\\x1b");
    }

    #[test]
    fn what_is_no_ascii_is_written_in_ascii() {
        // U+009B moves cursors as ESC [ does, U+202E turns the direction of a line.
        let text = "\u{9b}\u{202e}\u{e9}\u{1f600}";
        assert_eq!(as_json(text.as_bytes()), "\\u009b\\u202e\\u00e9\\ud83d\\ude00");
        assert_eq!(as_combined("\u{e9}".as_bytes()), "\\xc3\\xa9");
    }

    #[test]
    fn what_is_no_utf8_is_replaced() {
        assert_eq!(as_json(b"a\xffb\xc3"), "a\\ufffdb\\ufffd");
        assert_eq!(as_combined(b"a\xff"), "a\\xff");
    }

    #[test]
    fn any_byte_gives_printable_ascii_of_which_no_quote_is_bare() {
        for first in 0..=255_u8 {
            for second in [b'"', b'\\', b'a', 0x80, 0xff] {
                for text in [as_json(&[first, second]), as_combined(&[first, second])] {
                    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
                    let unescaped = text.replace("\\\\", "").replace("\\\"", "");
                    assert!(!unescaped.contains('"'), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "\u{e9}".repeat(TEXT_BYTES);
        let odd = format!("a{text}");
        for text in [text, odd] {
            let cut = as_json(text.as_bytes());
            assert!(cut.ends_with("\\u00e9\\u2026"), "{}", &cut[cut.len() - 20..]);
            assert!(!cut.contains("fffd"));
        }
        assert!(as_combined(&[b'a'; TEXT_BYTES + 1]).ends_with("aa..."));
    }
}
