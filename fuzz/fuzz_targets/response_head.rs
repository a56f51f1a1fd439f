//! Any bytes as a response head, to GET and to HEAD, for clients of HTTP/1.1 and 1.0: two readers
//! agree, in whatever pieces it comes, and so does what is written for the client.
//!
//! What exactly is checked stands in the oracle, which the property tests share.

#![no_main]

// Each target uses a part of it.
#[allow(dead_code)]
#[path = "../../crates/fairlead-proto/tests/reader/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../../crates/fairlead-proto/tests/reader/second.rs"]
mod second;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let cuts = oracle::cuts(input);
    for (to_head, old_client) in [(false, false), (false, true), (true, false), (true, true)] {
        oracle::check_response(input, to_head, old_client, &cuts);
    }
});
