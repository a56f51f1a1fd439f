use super::*;

#[test]
fn an_end_is_seen_in_either_spelling_and_nowhere_else() {
    for whole in ["a\r\n\r\n", "a\n\n", "a\n\r\n", "\r\n\r\n"] {
        assert!(has_end(whole.as_bytes()), "{whole:?}");
    }
    for none in ["", "\n", "\r\n", "a\r\nb\r\n", "a\r\n\r", "a\n\rb\n"] {
        assert!(!has_end(none.as_bytes()), "{none:?}");
    }
}

#[test]
fn work_on_a_dripping_head_grows_with_its_length_alone() {
    let limits = Limits { head: 64 * 1024, headers: 100_000 };
    let head = "A: b\r\n".repeat(10_000);
    let mut progress = Progress::default();
    let mut parsed = 0;
    for end in 1..=head.len() {
        let window = &head.as_bytes()[..end];
        if !progress.is_early(window, &limits) {
            parsed += end;
            progress.parsed_in_vain(window);
        }
    }
    assert!(parsed < head.len() * 3, "{parsed} bytes parsed for {}", head.len());
}

#[test]
fn an_end_that_comes_in_two_pieces_is_not_missed() {
    let limits = Limits { head: 4096, headers: 10 };
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in 20..head.len() {
        let mut progress = Progress::default();
        progress.parsed_in_vain(&head[..20]);
        let early = progress.is_early(&head[..first], &limits);
        assert!(early, "{first}");
        assert!(!progress.is_early(head, &limits), "{first}");
    }
}

#[test]
fn a_version_that_is_cut_is_partial_only_while_it_can_still_be_one() {
    let read = |text: &str| read_version(text.as_bytes(), 0);
    for length in 0..8 {
        assert_eq!(read(&"HTTP/1.1"[..length]), Err(Stop::Partial));
        assert_eq!(read(&"HTTP/2.0"[..length]), Err(Stop::Partial));
    }
    for wrong in ["h", "HTTQ", "HTTP/x", "HTTP/1x", "HTTP/1.x", "HTTP/11.1"] {
        assert_eq!(read(wrong), Err(Stop::Refused(strict::BAD_VERSION)), "{wrong}");
    }
    assert_eq!(read("HTTP/1.0\r\n"), Ok((Version::Http10, 8)));
    assert_eq!(read("HTTP/1.7\r\n"), Ok((Version::Http11, 8)));
}
