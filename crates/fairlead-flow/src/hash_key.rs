//! What is hashed where nothing of a request is: who the client is.

use std::net::IpAddr;

use fairlead_balance::hash;
use fairlead_model::plan::{HashOn, HashTable, Policy, PoolPlan};

use crate::driver::Peer;

/// The key of a tcp client in this pool, if it hashes by that.
pub(crate) fn key_of(plan: &PoolPlan, peer: Peer) -> Option<u64> {
    let hashed = plan.has_policy(Policy::Hash) && plan.hash_on == HashOn::SourceIp;
    hashed.then(|| source_key(plan, peer))
}

/// The key of a client's address for a hash on the source in this pool.
pub(crate) fn source_key(plan: &PoolPlan, peer: Peer) -> u64 {
    if plan.hash_table != HashTable::Maglev {
        // Without an address all have the same one.
        let six = peer.address.map_or([0; 16], |address| mapped(address.ip()));
        return u64::from(hash::folded(&six));
    }
    match peer.address.map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V4(four)) => hash::of(&four.octets()),
        Some(IpAddr::V6(six)) => hash::of(&six.octets()),
        None => hash::of(b"unix"),
    }
}

/// An address in sixteen bytes, IPv4 as a dual-stack socket shows it (`::ffff:192.0.2.1`).
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}
