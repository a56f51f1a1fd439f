//! Request heads: nothing panics; the answer is the same in pieces as whole; and what goes on to a
//! backend is a head that we would accept ourselves, with the same meaning.

#![no_main]

use fairlead_proto::forwarded::Scheme;
use fairlead_proto::http1::{write_request, ForwardRequest, Limits, Parsed, Progress, RequestHead};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 4096, headers: 64 };

fn whole(input: &[u8]) -> (Parsed, RequestHead) {
    let mut head = RequestHead::default();
    let parsed = head.parse(input, &LIMITS, &mut Progress::default());
    (parsed, head)
}

fuzz_target!(|data: &[u8]| {
    // The first two bytes say where the rest is cut.
    let [high, low, input @ ..] = data else { return };
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (input.len() + 1);
    let (parsed, head) = whole(input);

    let mut progress = Progress::default();
    let mut pieces = RequestHead::default();
    let first = pieces.parse(&input[..cut], &LIMITS, &mut progress);
    let answer = match first {
        Parsed::Partial => pieces.parse(input, &LIMITS, &mut progress),
        early => early,
    };
    match (answer, parsed) {
        // Looked at too early to be worth parsing again: nothing was decided.
        (Parsed::Partial, _) | (_, Parsed::Partial) => {}
        _ => assert_eq!(answer, parsed, "cut at {cut}"),
    }

    if parsed != Parsed::Complete {
        return;
    }
    assert!(head.len() <= input.len());
    for (trusted, upgrade, close) in [(false, false, false), (true, true, false), (false, false, true)] {
        let mut out = Vec::new();
        let how = ForwardRequest {
            client: Some([192, 0, 2, 1].into()),
            scheme: Scheme::Http,
            trusted,
            request_id: Some("0123456789abcdef"),
            default_host: "backend.example:80",
            upgrade,
            close,
            via: None,
        };
        write_request(&mut out, input, &head, &how);
        let generous = Limits { head: 64 * 1024, headers: 256 };
        let mut again = RequestHead::default();
        let parsed = again.parse(&out, &generous, &mut Progress::default());
        assert_eq!(parsed, Parsed::Complete, "{}", String::from_utf8_lossy(&out));
        assert_eq!(again.len(), out.len(), "more than one head was written");
        assert_eq!(again.method(), head.method());
        assert_eq!(again.method_name(&out), head.method_name(input));
        assert_eq!(again.path(&out), head.path(input));
        assert_eq!(again.query(&out), head.query(input));
        assert_eq!(again.framing(), head.framing());
        assert!(again.fields().find(&out, b"x-forwarded-for").is_some());
    }
});
