//! Two readers made in different ways agree about every head and body, and about what is written.
//!
//! Inputs are put together from pieces that are each nearly right, and then damaged: random bytes
//! would never get past the first line.

#[path = "reader/oracle.rs"]
mod oracle;
#[path = "reader/second.rs"]
mod second;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, Index};
use proptest::strategy::ValueTree;

const METHODS: &[&str] =
    &["GET", "GET", "POST", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "BREW", "G T", ""];

const TARGETS: &[&str] = &[
    "/",
    "/",
    "/a/b?c=d",
    "*",
    "http://h/p?q",
    "HTTP://h:80",
    "https://h?x",
    "http://u@h/",
    "//x",
    "/a#b",
    "/\u{e4}",
    "a",
    "http:///",
    "http://[::1]:8/x",
    "ftp://h/",
    "/a b",
    "/%00|{}\\",
];

const VERSIONS: &[&str] = &[
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/1.10",
    "http/1.1",
];

const STATUSES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 204 No",
    "HTTP/1.1 304 Same",
    "HTTP/1.1 101 S",
    "HTTP/1.1 103 H",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1 600 X",
    "HTTP/1.1 20 X",
    "HTTP/2.0 200 OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.3 404 \u{e4}",
];

const NAMES: &[&str] = &[
    "Host",
    "Host",
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "Keep-Alive",
    "Proxy-Connection",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Tls-Client-Cert",
    "x_forwarded_for",
    "X-Request-Id",
    "Forwarded",
    "X-Real-IP",
    "HTTP2-Settings",
    "Cookie",
    "Set-Cookie",
    "Max-Forwards",
    "Content-Type",
    "Content_Length",
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "Accept",
    "X-Other",
    "x-other",
    "Via",
    "Cache-Control",
    "Date",
    "A b",
    "A:",
    "",
    " A",
    "A\t",
];

const VALUES: &[&str] = &[
    "a",
    "a",
    "h",
    "h:80",
    "[::1]",
    "close",
    "keep-alive",
    "Upgrade, TE",
    "upgrade",
    "websocket",
    "h2c, WebSocket",
    "trailers",
    "0",
    "5",
    "007",
    "+5",
    "5, 5",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "100-continue",
    "x-other, accept, host",
    "X-Forwarded-For",
    "timeout=5",
    "",
    " \t ",
    "a,b",
    "a\tb",
    "\u{e4}\u{f6}",
    "18446744073709551616",
    "a b",
    "u@h",
    "h:99999",
];

const ENDS: &[&str] =
    &["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "];

/// Mostly nothing, sometimes a damage to do to the bytes.
#[derive(Debug, Clone)]
enum Damage {
    None,
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Damage::None => {}
            Damage::Replace(at, byte) => *at.get_mut(bytes) = *byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![any::<u8>(), select(b"\r\n\t :;,0\0\x7f#_".to_vec())];
    prop_oneof![
        6 => Just(Damage::None),
        1 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        1 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => any::<Index>().prop_map(Damage::Remove),
    ]
}

fn line() -> impl Strategy<Value = String> {
    // Hosts, numbers and codings come together more often than by chance.
    let likely = select(vec![
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: x-other\r\n",
        "X-Other: 1\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "TE: trailers\r\n",
    ]);
    let any_line = (select(NAMES), select(VALUES), select(ENDS))
        .prop_map(|(name, value, end)| format!("{name}: {value}{end}"));
    prop_oneof![1 => likely.prop_map(str::to_owned), 2 => any_line]
}

/// Latin-1, so that bytes above 0x7F are not always pairs.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| letter as u8).collect()
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let start = (select(METHODS), select(TARGETS), select(VERSIONS));
    let before = select(&["", "", "", "", "\r\n", "\r\n\r\n", "\r\n\r\n\r\n", "\n"][..]);
    (before, start, any::<bool>(), vec(line(), 0..6), damage()).prop_map(
        |(before, (method, target, version), with_host, lines, damage)| {
            let host = if with_host { "Host: h\r\n" } else { "" };
            let text =
                format!("{before}{method} {target} {version}\r\n{host}{}\r\nrest", lines.concat());
            let mut bytes = bytes(&text);
            damage.apply(&mut bytes);
            bytes
        },
    )
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    (select(STATUSES), vec(line(), 0..6), damage()).prop_map(|(status, lines, damage)| {
        let mut bytes = bytes(&format!("{status}\r\n{}\r\nrest", lines.concat()));
        damage.apply(&mut bytes);
        bytes
    })
}

fn chunk() -> impl Strategy<Value = String> {
    let plain =
        (0..40_usize).prop_map(|length| format!("{length:x}\r\n{}\r\n", "d".repeat(length)));
    let odd = select(vec![
        "3;a=b\r\nabc\r\n",
        "003\r\nabc\r\n",
        "3 ;x\r\n\r\n\r\r\n",
        "A\r\n0123456789\r\n",
        "3\r\nab\r\n",
        "3\nabc\n",
        "3\r\nabcd\r\n",
        "x\r\n",
        "00\r\n",
        "0;e\r\n",
        "0\r\n",
        "3 \r\nabc\r\n",
    ]);
    prop_oneof![3 => plain, 1 => odd.prop_map(str::to_owned)]
}

fn chunked() -> impl Strategy<Value = Vec<u8>> {
    (vec(chunk(), 0..5), vec(line(), 0..4), damage()).prop_map(|(chunks, trailers, damage)| {
        let mut bytes = bytes(&format!("{}0\r\n{}\r\nrest", chunks.concat(), trailers.concat()));
        damage.apply(&mut bytes);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_read_and_written_alike(input in request(), cuts in vec(0..40_u8, 0..8)) {
        oracle::check_request(&input, &cuts);
    }

    #[test]
    fn responses_are_read_and_written_alike(
        input in response(),
        to_head in any::<bool>(),
        old_client in any::<bool>(),
        cuts in vec(0..40_u8, 0..8),
    ) {
        oracle::check_response(&input, to_head, old_client, &cuts);
    }

    #[test]
    fn chunks_are_read_and_written_alike(input in chunked(), cuts in vec(0..10_u8, 0..20)) {
        oracle::check_chunked(&input, &cuts);
    }
}

/// The seeds of the fuzz targets, through what the targets check.
#[test]
fn every_seed_of_the_fuzz_targets_passes() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/");
    let seeds = |target: &str| {
        let folder = std::fs::read_dir(format!("{root}{target}")).expect("a folder of seeds");
        let paths = folder.map(|entry| entry.expect("an entry").path());
        paths.map(|path| std::fs::read(path).expect("a seed")).collect::<Vec<_>>()
    };
    for seed in seeds("request_head") {
        oracle::check_request(&seed, &oracle::cuts(&seed));
    }
    for seed in seeds("response_head") {
        oracle::check_response(&seed, false, true, &oracle::cuts(&seed));
    }
    for seed in seeds("chunked_body") {
        oracle::check_chunked(&seed, &oracle::cuts(&seed));
    }
}

#[test]
fn what_is_made_up_here_is_taken_often_enough_to_mean_something() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut taken = |strategy: &dyn Fn(&mut proptest::test_runner::TestRunner) -> bool| {
        (0..1000).filter(|_| strategy(&mut runner)).count()
    };
    let requests = taken(&|runner| {
        let tree = request().new_tree(runner).expect("a value");
        second::request(&tree.current()).is_some()
    });
    let bodies = taken(&|runner| {
        let tree = chunked().new_tree(runner).expect("a value");
        second::chunked(&tree.current()).is_some()
    });
    assert!(requests > 50 && bodies > 200, "{requests} requests, {bodies} bodies");
}
