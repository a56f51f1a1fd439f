//! Any bytes as a PROXY header: two readers agree, in whatever pieces it comes, and what is written
//! reads as what was meant.
//!
//! What exactly is checked stands in the oracle, which the property tests share.

#![no_main]

#[path = "../../crates/fairlead-proto/tests/preface/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| oracle::check(input));
