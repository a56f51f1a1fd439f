//! Any bytes as a chunked body: two readers agree, in whatever pieces it comes, and what goes on is
//! plain and reads the same.
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

fuzz_target!(|input: &[u8]| oracle::check_chunked(input, &oracle::cuts(input)));
