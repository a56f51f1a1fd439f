//! Chunked bodies: nothing panics; pieces give what the whole gives; what goes on is plain, and
//! reads back to the same data.

#![no_main]

use fairlead_proto::http1::{BodyReader, Framing};
use libfuzzer_sys::fuzz_target;

struct Walked {
    refused: bool,
    done: bool,
    consumed: usize,
    /// What went on, framing kept or not.
    out: Vec<u8>,
    data: u64,
}

/// Feeds `input` in pieces of these sizes, over and over.
fn walk(input: &[u8], sizes: &[usize], keep_framing: bool) -> Walked {
    let mut reader = BodyReader::new(Framing::Chunked);
    let mut walked = Walked { refused: false, done: false, consumed: 0, out: Vec::new(), data: 0 };
    let mut sizes = sizes.iter().cycle();
    while walked.consumed < input.len() && !walked.done {
        let size = sizes.next().copied().unwrap_or(1).max(1);
        let piece = &input[walked.consumed..input.len().min(walked.consumed + size)];
        let mut written = Vec::new();
        let Ok(fed) = reader.feed(piece, keep_framing, &mut written) else {
            walked.refused = true;
            break;
        };
        assert!(fed.consumed <= piece.len());
        assert!(fed.consumed == piece.len() || fed.done);
        if fed.verbatim {
            assert!(written.is_empty());
            walked.out.extend_from_slice(&piece[..fed.consumed]);
        } else {
            walked.out.extend_from_slice(&written);
        }
        walked.consumed += fed.consumed;
        walked.done = fed.done;
    }
    walked.data = reader.data_bytes();
    walked
}

fuzz_target!(|data: &[u8]| {
    let [one, other, input @ ..] = data else { return };
    let sizes = [usize::from(*one), usize::from(*other)];
    let whole = walk(input, &[input.len()], true);
    let pieces = walk(input, &sizes, true);
    assert_eq!(whole.refused, pieces.refused);
    if whole.refused {
        return;
    }
    assert_eq!((whole.done, whole.consumed, whole.data), (pieces.done, pieces.consumed, pieces.data));
    assert_eq!(whole.out, pieces.out);

    let bare = walk(input, &sizes, false);
    assert_eq!((bare.done, bare.consumed, bare.data), (whole.done, whole.consumed, whole.data));
    assert_eq!(bare.out.len() as u64, bare.data, "without framing only data goes on");

    if whole.done {
        let again = walk(&whole.out, &[whole.out.len()], true);
        assert!(!again.refused && again.done, "what goes on would be refused");
        assert_eq!(again.consumed, whole.out.len());
        assert_eq!(again.out, whole.out, "what goes on is plain already");
        assert_eq!(again.data, whole.data);
        assert_eq!(walk(&whole.out, &[whole.out.len()], false).out, bare.out);
    }
});
