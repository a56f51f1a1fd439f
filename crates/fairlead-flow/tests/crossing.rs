//! Random happenings in random order: no byte crosses from one client to another, and nothing is
//! kept that was taken. The fuzz target of the same name plays the same world.

#[path = "crossing/network.rs"]
mod network;
#[expect(dead_code, reason = "the dialogues use the rest of it")]
#[path = "dialogues/setup.rs"]
mod setup;
#[path = "crossing/world.rs"]
mod world;

use fairlead_balance::Random;

/// Worlds of one run; `make fuzz` plays on.
const WORLDS: u64 = 4_000;

#[test]
fn no_byte_crosses_clients_whatever_happens_in_whatever_order() {
    for seed in 0..WORLDS {
        let mut random = Random::new(seed);
        let input: Vec<u8> = (0..900).map(|_| random.next() as u8).collect();
        let played = std::panic::catch_unwind(|| world::play(&input));
        assert!(played.is_ok(), "world {seed}");
    }
}
