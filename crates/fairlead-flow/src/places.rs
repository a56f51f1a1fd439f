//! Places: how many client connections may be open at a listener, from one address, and in all.
//!
//! Rules of this file
//! 1. Whoever is let in takes a place everywhere or nowhere, and gives it back where it was taken,
//!    whatever configuration is in force by then.
//! 2. An address is what one client can have for itself: an IPv4 address, or the 64 bits of an IPv6
//!    address that name its network (within one, anybody may choose any of 2⁶⁴ addresses).
//! 3. Addresses are counted only where that is limited. Trusted proxies speak for many, and what
//!    comes over a Unix socket has no address: neither is counted.
//!
//! Not here: who has to go when all are taken (`http::room`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::MutexGuard;
use std::time::Duration;

use fairlead_balance::Lock;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{ListenerPlan, Network};
use fairlead_model::reason::Reason;

use crate::driver::Peer;

/// How long nobody must have been turned away before it is told that there is room again. At the
/// limit one goes and one comes all the time.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// Locks that the counts by address are spread over, so that workers seldom meet.
const LOCKS: usize = 16;

/// A place that a client connection has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The address that it is counted for.
    source: Option<Source>,
}

/// Who counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(u64);

impl Source {
    /// Whom an address belongs to.
    pub(crate) fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            // ::ffff:0:0/96 has nobody's network in its first half, so the two can't meet.
            IpAddr::V4(four) => Source(0x0000_ffff_0000_0000 | u64::from(four.to_bits())),
            IpAddr::V6(six) => Source((six.to_bits() >> 64) as u64),
        }
    }
}

/// Places of the whole instance; they live over reloads.
#[derive(Debug, Default)]
pub(crate) struct House {
    taken: AtomicU32,
}

impl House {
    /// Takes a place of so many; false if there is none.
    fn enter(&self, most: u32) -> bool {
        take(&self.taken, most)
    }

    fn leave(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// Places taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Places of one listener; they live over reloads.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicU32,
    sources: [Lock<BTreeMap<Source, u32>>; LOCKS],
    /// When somebody was last turned away; 0 if that is long ago, and told to be over.
    full: AtomicU64,
}

impl Default for Places {
    fn default() -> Self {
        let sources = std::array::from_fn(|_| Lock::default());
        Places { taken: AtomicU32::new(0), sources, full: AtomicU64::new(0) }
    }
}

impl Places {
    /// Takes a place for a connection, or says which limit stands against it.
    pub(crate) fn enter(
        &self,
        house: &House,
        plan: &ListenerPlan,
        most_in_all: u32,
    ) -> Result<Place, Reason> {
        if !take(&self.taken, plan.limits.connections) {
            return Err(Reason::ListenerFull);
        }
        if !house.enter(most_in_all) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return Err(Reason::BalancerFull);
        }
        Ok(Place { source: None })
    }

    /// Counts a place for the client that it turned out to belong to; false if that one has too
    /// many already.
    pub(crate) fn count(&self, place: &mut Place, plan: &ListenerPlan, peer: Peer) -> bool {
        let Some(most) = plan.limits.connections_per_client else { return true };
        let Some(source) = counted(peer, &plan.trusted_proxies) else { return true };
        let mut counts = self.counts(source);
        let count = counts.entry(source).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        place.source = Some(source);
        true
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, house: &House, place: Place) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
        house.leave();
        let Some(source) = place.source else { return };
        let mut counts = self.counts(source);
        if let Some(count) = counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&source);
            }
        }
    }

    /// Places taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Notes that somebody was turned away; true if that is news.
    pub(crate) fn note_full(&self, now: Moment) -> bool {
        self.full.swap(now.0.max(1), Ordering::Relaxed) == 0
    }

    /// Notes that somebody was let in; true if that is news, because nobody could be for a while.
    #[inline]
    pub(crate) fn note_room(&self, now: Moment) -> bool {
        let full = self.full.load(Ordering::Relaxed);
        full != 0
            && now.since(Moment(full)) >= ROOM_AGAIN
            && self.full.swap(0, Ordering::Relaxed) != 0
    }

    fn counts(&self, source: Source) -> MutexGuard<'_, BTreeMap<Source, u32>> {
        let lock = (source.0 ^ (source.0 >> 32)) as usize % LOCKS;
        self.sources[lock].hold()
    }
}

/// For whom a client is counted, if it is.
pub(crate) fn counted(peer: Peer, trusted: &[Network]) -> Option<Source> {
    let address = peer.address?.ip();
    let speaks_for_many = trusted.iter().any(|network| network.contains(address));
    (!speaks_for_many).then(|| Source::of(address))
}

fn take(taken: &AtomicU32, most: u32) -> bool {
    let room = taken.fetch_add(1, Ordering::Relaxed) < most;
    if !room {
        taken.fetch_sub(1, Ordering::Relaxed);
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::of(address.parse().expect("an address"))
    }

    #[test]
    fn one_client_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
        assert_ne!(source("::c000:201"), source("192.0.2.1"));
    }

    #[test]
    fn trusted_proxies_and_unix_sockets_are_not_counted() {
        let trusted = [Network { address: "10.0.0.0".parse().expect("address"), prefix: 8 }];
        let peer = |text: &str| Peer { address: Some(text.parse().expect("address")), local: None };
        assert_eq!(counted(peer("10.1.2.3:4"), &trusted), None);
        assert_eq!(counted(peer("192.0.2.1:4"), &trusted), Some(source("192.0.2.1")));
        assert_eq!(counted(Peer::default(), &[]), None);
    }

    #[test]
    fn the_last_place_is_given_once_and_again_when_it_is_free() {
        let house = House::default();
        assert!(house.enter(2) && house.enter(2) && !house.enter(2) && !house.enter(2));
        assert_eq!(house.taken(), 2);
        house.leave();
        assert!(house.enter(2));
        assert!(!house.enter(1), "a smaller limit holds for newcomers");
    }

    #[test]
    fn being_full_is_news_once_and_being_over_only_after_a_quiet_second() {
        let places = Places::default();
        let at = |ms: u64| Moment::ZERO + Duration::from_millis(ms);
        assert!(!places.note_room(at(1)));
        assert!(places.note_full(at(10)) && !places.note_full(at(500)));
        assert!(!places.note_room(at(1_400)));
        assert!(places.note_room(at(1_501)) && !places.note_room(at(1_502)));
    }
}
