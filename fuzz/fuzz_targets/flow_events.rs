//! Random happenings in random order told to a flow, beside a model: no byte crosses from one client to
//! another, no POST is sent twice, and what was taken is given back.
//!
//! The world and what must be so stand beside the flow's own tests.

#![no_main]

#[path = "../../crates/fairlead-flow/tests/crossing/network.rs"]
mod network;
#[allow(dead_code)]
#[path = "../../crates/fairlead-flow/tests/dialogues/setup.rs"]
mod setup;
#[path = "../../crates/fairlead-flow/tests/crossing/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| world::play(input));
