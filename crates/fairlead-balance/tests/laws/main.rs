//! The laws of fairlead-balance, tested through what other crates see of it. One file per law,
//! `pools.rs` makes what they are tested on.

mod evidence;
mod hashing;
mod hiccups;
mod outliers;
mod picks;
mod pools;
mod recovery;
mod reload;
mod remainders;
mod scores;
mod shares;
mod slow_start;
mod threads;
mod trials;
