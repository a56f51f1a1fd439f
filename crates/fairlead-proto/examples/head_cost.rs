//! What reading and writing heads costs: prints nanoseconds.
//!
//! `cargo run --release -p fairlead-proto --example head_cost`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement has to look at the clock and to say what it found"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use fairlead_proto::forwarded::Scheme;
use fairlead_proto::http1::{
    write_request, write_response, BodyReader, ChunkLimits, Delivery, ForwardRequest,
    ForwardResponse, Framing, Limits, Method, Parsed, Progress, RequestHead, ResponseHead, Version,
};

const LIMITS: Limits = Limits { head: 64 * 1024, headers: 128 };
const CHUNKS: ChunkLimits =
    ChunkLimits { line: 256, excess: 16 * 1024, trailers: 32, trailer_bytes: 8 * 1024 };
const ROUNDS: usize = 9;
const REPETITIONS: u32 = 400_000;

const SMALL: &[u8] = b"GET /api/items/1234?page=2 HTTP/1.1\r\nHost: app.example.com\r\n\
User-Agent: curl/8.5.0 (x86_64)\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n\
Connection: keep-alive\r\n\r\n";

const BROWSER: &[u8] = b"GET /static/app.js HTTP/1.1\r\nHost: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
Referer: https://www.example.com/index.html\r\nConnection: keep-alive\r\n\
Cookie: sid=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; tracking=no\r\n\
Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n";

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
Content-Type: application/json\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n";

fn main() {
    request("small request head", SMALL);
    request("browser's request head", BROWSER);
    response();
    chunks();
}

/// The median of rounds, in nanoseconds per repetition.
fn measure(mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..REPETITIONS).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / f64::from(REPETITIONS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn request(name: &str, input: &[u8]) {
    let how = ForwardRequest {
        client: Some(IpAddr::V4(Ipv4Addr::new(192, 168, 17, 233))),
        scheme: Scheme::Http,
        trusted: false,
        request_id: Some(b"4fzzzxjylrx8b2"),
        default_host: "10.0.0.1:8000",
        upgrade: true,
        close: false,
        via: None,
    };
    let mut head = RequestHead::default();
    let mut out = Vec::new();
    let parse = |head: &mut RequestHead| {
        let parsed = head.parse(black_box(input), &LIMITS, &mut Progress::default());
        assert_eq!(parsed, Parsed::Complete);
    };
    let parsing = measure(|| parse(&mut head));
    let writing = measure(|| {
        out.clear();
        write_request(&mut out, black_box(input), &head, &how);
        black_box(&out);
    });
    let lines = head.fields().count();
    println!(
        "{name}: {} bytes, {lines} headers: parse {parsing:.0} ns, write {writing:.0} ns",
        input.len()
    );
}

fn response() {
    let how = ForwardResponse {
        client_version: Version::Http11,
        close: false,
        delivery: Delivery::AsIs,
        upgrade: false,
        via: Some("fairlead"),
        date: "Sat, 21 Nov 2026 09:08:07 GMT",
    };
    let mut head = ResponseHead::default();
    let mut out = Vec::new();
    let parsing = measure(|| {
        let input = black_box(RESPONSE);
        let parsed = head.parse(input, Method::Get, &LIMITS, &mut Progress::default());
        assert_eq!(parsed, Parsed::Complete);
    });
    let writing = measure(|| {
        out.clear();
        write_response(&mut out, black_box(RESPONSE), &head, &how);
        black_box(&out);
    });
    println!(
        "response head: {} bytes: parse {parsing:.0} ns, write {writing:.0} ns",
        RESPONSE.len()
    );
}

fn chunks() {
    let piece = [&b"400\r\n"[..], &[b'x'; 1024], b"\r\n"].concat().repeat(16);
    let mut out = Vec::new();
    let mut body = BodyReader::new(Framing::Chunked, CHUNKS);
    let walking = measure(|| {
        let fed = body.feed(black_box(&piece), true, &mut out);
        assert!(fed.is_ok_and(|fed| fed.verbatim));
    });
    println!("16 chunks of 1 KiB: walk {walking:.0} ns");
}
