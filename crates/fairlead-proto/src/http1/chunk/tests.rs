use super::*;

/// What goes on, how much was consumed, and bytes of data.
type Walked = Result<(Vec<u8>, usize, u64), Refusal>;

const LIMITS: ChunkLimits =
    ChunkLimits { line: 256, excess: 16 * 1024, trailers: 32, trailer_bytes: 8 * 1024 };

/// Feeds the pieces one after the other.
fn walk(pieces: &[&[u8]], keep_framing: bool) -> Walked {
    walk_within(LIMITS, pieces, keep_framing)
}

fn walk_within(limits: ChunkLimits, pieces: &[&[u8]], keep_framing: bool) -> Walked {
    let mut reader = ChunkReader::new(limits);
    let (mut whole, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let mut out = b"before".to_vec();
        let fed = reader.feed(piece, keep_framing, &mut out).inspect_err(|refusal| {
            assert_eq!(out, b"before");
            assert_eq!(reader.clone().feed(b"5", true, &mut Vec::new()), Err(*refusal));
        })?;
        consumed += fed.consumed;
        assert!(fed.consumed == piece.len() || fed.done);
        assert_eq!(fed.done, reader.is_done());
        if fed.verbatim {
            assert_eq!(out, b"before");
            whole.extend_from_slice(&piece[..fed.consumed]);
        } else {
            assert_ne!(&out[6..], &piece[..fed.consumed], "it could have gone on as it is");
            whole.extend_from_slice(&out[6..]);
        }
    }
    Ok((whole, consumed, reader.data_bytes()))
}

/// Feeds the input whole, cut at every place, and byte by byte; all have to agree.
fn feed(input: &[u8], keep_framing: bool) -> Walked {
    feed_within(LIMITS, input, keep_framing)
}

fn feed_within(limits: ChunkLimits, input: &[u8], keep_framing: bool) -> Walked {
    let whole = walk_within(limits, &[input], keep_framing);
    for cut in 0..=input.len() {
        let cut = [&input[..cut], &input[cut..]];
        assert_eq!(walk_within(limits, &cut, keep_framing), whole, "{}", input.escape_ascii());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(walk_within(limits, &bytes, keep_framing), whole, "{}", input.escape_ascii());
    whole
}

/// What goes on of a body, with its framing; the rest of the input must be untouched.
fn kept(input: &str) -> String {
    let behind = format!("{input}GET / HTTP/1.1\r\n");
    let (out, consumed, _) = feed(behind.as_bytes(), true).expect("accepted");
    assert_eq!(consumed, input.len(), "{input:?}");
    String::from_utf8(out).expect("text")
}

fn refusal(input: &str) -> Refusal {
    let refusal = feed(input.as_bytes(), true).expect_err(input);
    assert_eq!(feed(input.as_bytes(), false), Err(refusal));
    refusal
}

#[test]
fn plain_chunks_go_on_as_they_are() {
    for plain in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n6\r\n\r\n\r\n0\r\r\n0\r\n\r\n",
        "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        "10\r\n0123456789abcdef\r\n0\r\n\r\n",
        "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n",
    ] {
        assert_eq!(kept(plain), plain);
        let mut out = Vec::new();
        let fed = ChunkReader::new(LIMITS).feed(plain.as_bytes(), true, &mut out);
        assert_eq!(fed, Ok(Fed { consumed: plain.len(), done: true, verbatim: true }));
    }
}

#[test]
fn leading_zeros_and_extensions_are_left_out() {
    for (input, output) in [
        ("005\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5;a=\"x;\\\"y\"\r\nhello\r\n0;last\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5 \t;a\r\nhello\r\n0 ;\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("0005 ; a = b ; c\r\nhello\r\n0000\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "000000000000000f\r\n0123456789abcde\r\n0000000000000000\r\n\r\n",
            "f\r\n0123456789abcde\r\n0\r\n\r\n",
        ),
        ("00a0\r\n", "a0\r\n"),
    ] {
        let (out, ..) = feed(input.as_bytes(), true).expect("accepted");
        assert_eq!(String::from_utf8_lossy(&out), output, "{input:?}");
    }
}

#[test]
fn without_framing_only_data_goes_on() {
    for (input, data) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n06;x\r\n world\r\n0\r\n\r\n", "hello world"),
        ("4\r\n\r\n\r\n\r\n0\r\nA: b\r\n\r\n", "\r\n\r\n"),
    ] {
        let (out, consumed, bytes) = feed(input.as_bytes(), false).expect("accepted");
        assert_eq!(String::from_utf8_lossy(&out), data);
        assert_eq!((consumed, bytes), (input.len(), data.len() as u64));
    }
}

#[test]
fn trailers_that_may_not_be_ones_are_left_out() {
    for name in [
        "Transfer-Encoding",
        "content-length",
        "HOST",
        "Connection",
        "Keep-Alive",
        "TE",
        "Upgrade",
        "Trailer",
        "X-Forwarded-For",
        "X-Forwarded-Anything",
        "X-Forwarded-Tls-Client-Cert-Info",
        "x_forwarded_for",
        "Forwarded",
        "X-Request-Id",
        "X-Real-IP",
        "Cookie",
        "Set-Cookie",
        "Authorization",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Proxy-Authorization",
        "Content_Length",
    ] {
        let input = format!("0\r\nGrpc-Status: 0\r\n{name}: 1\r\nDigest: x\r\n\r\n");
        assert_eq!(kept(&input), "0\r\nGrpc-Status: 0\r\nDigest: x\r\n\r\n", "{name}");
    }
}

#[test]
fn sizes_that_are_none_are_refused() {
    for (input, rule) in [
        ("\r\n", strict::BAD_CHUNK_SIZE),
        (";a\r\n", strict::BAD_CHUNK_SIZE),
        (" 5\r\n", strict::BAD_CHUNK_SIZE),
        ("x\r\n", strict::BAD_CHUNK_SIZE),
        ("5x\r\n", strict::BAD_CHUNK_SIZE),
        ("0x5\r\n", strict::BAD_CHUNK_SIZE),
        ("+5\r\n", strict::BAD_CHUNK_SIZE),
        ("-5\r\n", strict::BAD_CHUNK_SIZE),
        ("5_0\r\n", strict::BAD_CHUNK_SIZE),
        ("5 \r\n", strict::BAD_CHUNK_SIZE),
        ("5 5\r\n", strict::BAD_CHUNK_SIZE),
        ("5\0\r\n", strict::BAD_CHUNK_SIZE),
        ("\u{ff15}\r\n", strict::BAD_CHUNK_SIZE),
        ("5\n", strict::CHUNK_BARE_LF),
        ("\n", strict::CHUNK_BARE_LF),
        ("5;a\n", strict::CHUNK_BARE_LF),
        ("5 \n", strict::CHUNK_BARE_LF),
        ("5\rx", strict::CHUNK_BARE_CR),
        ("5\r\r\n", strict::CHUNK_BARE_CR),
        ("5;a\rb\r\n", strict::CHUNK_BARE_CR),
        ("5;a\0\r\n", strict::CHUNK_EXTENSION),
        ("5;\u{7f}\r\n", strict::CHUNK_EXTENSION),
        ("00000000000000005\r\n", strict::CHUNK_TOO_LARGE),
        ("10000000000000000\r\n", strict::CHUNK_TOO_LARGE),
    ] {
        assert_eq!(refusal(input), rule, "{input:?}");
        let later = format!("3\r\nabc\r\n{input}");
        assert_eq!(refusal(&later), rule, "{input:?}");
    }
    assert!(feed(b"ffffffffffffffff\r\nx", true).is_ok());
}

#[test]
fn data_ends_where_its_size_says() {
    for (input, rule) in [
        ("5\r\nhelloworld\r\n", strict::CHUNK_OVERRUN),
        ("5\r\nhello0\r\n\r\n", strict::CHUNK_OVERRUN),
        ("5\r\nhello\n0\r\n\r\n", strict::CHUNK_BARE_LF),
        ("5\r\nhello\r0\r\n\r\n", strict::CHUNK_BARE_CR),
        ("5\r\nhell\r\n0\r\n\r\n", strict::CHUNK_BARE_LF),
        ("0\r\n\rX", strict::CHUNK_BARE_CR),
    ] {
        assert_eq!(refusal(input), rule, "{input:?}");
    }
}

#[test]
fn trailers_that_are_no_lines_are_refused() {
    for (line, rule) in [
        ("\n", strict::CHUNK_BARE_LF),
        ("A: b\n", strict::CHUNK_BARE_LF),
        ("A: b\rc\n", strict::CHUNK_BARE_CR),
        ("A\r\n", strict::BAD_TRAILER),
        ("A : b\r\n", strict::BAD_TRAILER),
        (": b\r\n", strict::BAD_TRAILER),
        (" A: b\r\n", strict::BAD_TRAILER),
        ("A: b\r\n c\r\n", strict::BAD_TRAILER),
        ("A: \0\r\n", strict::BAD_TRAILER),
        ("GET / HTTP/1.1\r\n", strict::BAD_TRAILER),
    ] {
        assert_eq!(refusal(&format!("0\r\n{line}\r\n")), rule, "{line:?}");
    }
}

#[test]
fn framing_is_bounded() {
    let line = |bytes: usize| format!("1;{}\r\nx\r\n", "e".repeat(bytes - 4));
    assert_eq!(kept(&format!("{}0\r\n\r\n", line(256))), "1\r\nx\r\n0\r\n\r\n");
    assert_eq!(refusal(&line(257)), strict::CHUNK_LINE);
    // 256 bytes of line for 1 byte of data, 238 of them in excess: enough is enough at 69.
    assert!(feed(line(256).repeat(68).as_bytes(), true).is_ok());
    assert_eq!(walk(&[line(256).repeat(69).as_bytes()], true), Err(strict::CHUNK_EXCESS));
    // One byte per chunk is wasteful, but plain.
    assert!(walk(&["1\r\nx\r\n".repeat(100_000).as_bytes()], true).is_ok());
}

#[test]
fn trailers_are_bounded() {
    let lines = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(kept(&lines(32)), lines(32));
    assert_eq!(refusal(&lines(33)), strict::TOO_MANY_TRAILERS);
    let long = |bytes: usize| format!("0\r\nA: {}\r\n\r\n", "b".repeat(bytes - 5)).into_bytes();
    assert!(walk(&[&long(8192)], true).is_ok());
    let too_long = long(8193);
    assert_eq!(walk(&[&too_long], true), Err(strict::TRAILERS_TOO_LARGE));
    // Without its end, it is refused as soon as it is too long.
    let endless = long(9000);
    let bytes: Vec<&[u8]> = endless[..8900].chunks(1).collect();
    assert_eq!(walk(&bytes, true), Err(strict::TRAILERS_TOO_LARGE));
}

#[test]
fn each_limit_can_be_reached_and_not_passed() {
    const WIDE: ChunkLimits = ChunkLimits::UNLIMITED;
    let lines = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    let line = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes - 4));
    for (limits, fits, more, rule) in [
        (ChunkLimits { trailers: 0, ..WIDE }, lines(0), lines(1), strict::TOO_MANY_TRAILERS),
        (ChunkLimits { trailers: 3, ..WIDE }, lines(3), lines(4), strict::TOO_MANY_TRAILERS),
        (ChunkLimits { trailers: 300, ..WIDE }, lines(300), lines(301), strict::TOO_MANY_TRAILERS),
        (ChunkLimits { trailer_bytes: 6, ..WIDE }, lines(1), lines(2), strict::TRAILERS_TOO_LARGE),
        // 11 bytes are not two lines of 6; the empty line behind them doesn't count.
        (ChunkLimits { trailer_bytes: 11, ..WIDE }, lines(1), lines(2), strict::TRAILERS_TOO_LARGE),
        (ChunkLimits { trailer_bytes: 12, ..WIDE }, lines(2), lines(3), strict::TRAILERS_TOO_LARGE),
        (ChunkLimits { line: 32, ..WIDE }, line(32), line(33), strict::CHUNK_LINE),
        (ChunkLimits { line: 300, ..WIDE }, line(300), line(301), strict::CHUNK_LINE),
        // 18 are needed for a byte of data by the most generous count.
        (ChunkLimits { excess: 0, ..WIDE }, line(18), line(19), strict::CHUNK_EXCESS),
        (ChunkLimits { excess: 5, ..WIDE }, line(23), line(24), strict::CHUNK_EXCESS),
    ] {
        for keep_framing in [true, false] {
            let fed = feed_within(limits, fits.as_bytes(), keep_framing);
            assert_eq!(fed.map(|fed| fed.1), Ok(fits.len()), "{limits:?}");
            assert_eq!(feed_within(limits, more.as_bytes(), keep_framing), Err(rule), "{limits:?}");
        }
    }
    let many = lines(3_000);
    assert_eq!(walk_within(WIDE, &[many.as_bytes()], true).map(|fed| fed.1), Ok(many.len()));
}

#[test]
fn the_middle_of_a_chunk_goes_on_untouched() {
    let mut reader = ChunkReader::new(LIMITS);
    let mut out = Vec::new();
    assert!(reader.feed(b"100000\r\n", true, &mut out).is_ok());
    let middle = vec![b'\n'; 65_536];
    for keep_framing in [true, false] {
        let fed = reader.feed(&middle, keep_framing, &mut out);
        assert_eq!(fed, Ok(Fed { consumed: middle.len(), done: false, verbatim: true }));
    }
    assert_eq!((reader.data_bytes(), out.len()), (2 * 65_536, 0));
}

#[test]
fn a_chunk_head_is_its_length_in_hexadecimal() {
    for length in [1, 9, 10, 15, 16, 255, 256, 65_536, u64::MAX] {
        let mut space = [b'x'; 20];
        let head = chunk_head(length, &mut space);
        assert_eq!(head, format!("{length:x}\r\n").as_bytes());
    }
}

#[test]
fn what_is_written_with_our_own_framing_is_read_back() {
    let mut body = Vec::new();
    for piece in [&b"hello"[..], b" ", b"world"] {
        body.extend_from_slice(chunk_head(piece.len() as u64, &mut [0; 20]));
        body.extend_from_slice(piece);
        body.extend_from_slice(CHUNK_END);
    }
    body.extend_from_slice(LAST_CHUNK);
    assert_eq!(feed(&body, false).map(|fed| fed.0), Ok(b"hello world".to_vec()));
    assert_eq!(feed(&body, true).map(|fed| fed.0), Ok(body));
}

#[test]
fn a_reader_is_small() {
    assert!(size_of::<ChunkReader>() <= 128, "{}", size_of::<ChunkReader>());
}
