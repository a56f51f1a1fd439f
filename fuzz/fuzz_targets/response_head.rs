//! Response heads: nothing panics; the answer is the same in pieces as whole; and what goes on to a
//! client is a head that we would accept ourselves, with the same meaning.

#![no_main]

use fairlead_proto::http1::{
    write_interim, write_response, Delivery, ForwardResponse, Framing, Limits, Method, Parsed,
    Progress, ResponseHead, Version,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 4096, headers: 64 };
const GENEROUS: Limits = Limits { head: 64 * 1024, headers: 256 };

fuzz_target!(|data: &[u8]| {
    let [high, low, kind, input @ ..] = data else { return };
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (input.len() + 1);
    let method = if kind % 4 == 0 { Method::of(b"HEAD") } else { Method::of(b"GET") };
    let mut head = ResponseHead::default();
    let parsed = head.parse(input, method, &LIMITS, &mut Progress::default());

    let mut progress = Progress::default();
    let mut pieces = ResponseHead::default();
    let first = pieces.parse(&input[..cut], method, &LIMITS, &mut progress);
    let answer = match first {
        Parsed::Partial => pieces.parse(input, method, &LIMITS, &mut progress),
        early => early,
    };
    match (answer, parsed) {
        (Parsed::Partial, _) | (_, Parsed::Partial) => {}
        _ => assert_eq!(answer, parsed, "cut at {cut}"),
    }

    if parsed != Parsed::Complete {
        return;
    }
    if head.is_interim() {
        let mut out = Vec::new();
        write_interim(&mut out, input, &head);
        read_back(&out, method, head.status());
        return;
    }
    for client_version in [Version::Http10, Version::Http11] {
        let delivery = Delivery::of(head.framing(), client_version);
        for close in [false, true] {
            let mut out = Vec::new();
            let how = ForwardResponse { client_version, close, delivery, upgrade: false };
            write_response(&mut out, input, &head, &how);
            let again = read_back(&out, method, head.status());
            let framing = match delivery {
                Delivery::AsIs => head.framing(),
                Delivery::Chunk => Framing::Chunked,
                Delivery::Dechunk => Framing::UntilClose,
            };
            assert_eq!(again.framing(), framing, "{}", String::from_utf8_lossy(&out));
        }
    }
});

fn read_back(out: &[u8], method: Method, status: u16) -> ResponseHead {
    let mut again = ResponseHead::default();
    let parsed = again.parse(out, method, &GENEROUS, &mut Progress::default());
    assert_eq!(parsed, Parsed::Complete, "{}", String::from_utf8_lossy(out));
    assert_eq!(again.len(), out.len(), "more than one head was written");
    assert_eq!(again.status(), status);
    again
}
