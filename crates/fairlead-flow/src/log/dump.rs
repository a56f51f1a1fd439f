//! What tcp listeners relay, as readable text: for looking at a protocol at work.
//!
//! Each piece as it was received: a line `-> 5` (from the client, so many bytes) or `-< 5` (from
//! the backend), then its bytes. Printable ASCII stands for itself, a backslash is doubled, any
//! other byte is a backslash and two hexadecimal digits. A line ends after a line feed and when it
//! is longer than 80 columns, and once more at the end of the piece. `-> 0` is a side that has
//! finished. The form is that of `balance -p`, which people have scripts for.
//!
//! Not here: where it goes; it shares the access log's buffers, and its losses.

use std::io::Write;

/// Columns after which a line is broken.
const COLUMNS: usize = 80;

/// Writes one piece. `arrow` says from which side it came.
pub(super) fn write_piece(to: &mut Vec<u8>, arrow: &str, bytes: &[u8]) {
    // A vector takes whatever is written to it.
    let _ = writeln!(to, "{arrow} {}", bytes.len());
    let mut column = 0;
    for byte in bytes {
        match byte {
            b'\\' => {
                to.extend_from_slice(b"\\\\");
                column += 2;
            }
            b' '..=b'~' => {
                to.push(*byte);
                column += 1;
            }
            _ => {
                let _ = write!(to, "\\{byte:02X}");
                column += 3;
            }
        }
        if *byte == b'\n' || column > COLUMNS {
            to.push(b'\n');
            column = 0;
        }
    }
    to.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumped(bytes: &[u8]) -> String {
        let mut to = Vec::new();
        write_piece(&mut to, "->", bytes);
        String::from_utf8(to).expect("ASCII")
    }

    #[test]
    fn bytes_are_readable_and_unambiguous() {
        assert_eq!(dumped(b"HELO a\r\n"), "-> 8\nHELO a\\0D\\0A\n\n");
        assert_eq!(dumped(b"\\n \xff\0~"), "-> 6\n\\\\n \\FF\\00~\n");
        assert_eq!(dumped(b""), "-> 0\n\n");
    }

    #[test]
    fn long_lines_are_broken_after_eighty_columns() {
        let text = dumped(&[b'a'; 100]);
        let lengths: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [6, 81, 19]);
        let lengths: Vec<_> = dumped(&[0; 30]).lines().map(str::len).collect();
        assert_eq!(lengths, [5, 81, 9]);
    }
}
