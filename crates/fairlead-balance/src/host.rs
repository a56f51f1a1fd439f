//! What backends on one host have in common: they fall silent together.
//!
//! A port says that it is closed; a host that has lost its power says nothing, on any port. So one
//! unanswered connect is reason enough to look at all other ports of that host, in whatever pool,
//! before each of them has cost somebody a request.
//!
//! Rules of this file
//! 1. Silence is evidence about a host: a connect that is late, or was given up. A refusal isn't,
//!    nor is a process that accepts and says nothing: both show that the host is there.
//! 2. It is none if the host has given a sign of life since that connect began.
//! 3. The first silence makes everything on the host suspect. Once connects to [`PORTS`] of its
//!    ports (all, if there are fewer) were given up, [`GIVEN_UP`] in all and no sign of life
//!    between them, the host is *dead*: everything on it that has a check is down.
//! 4. The first sign of life ends both: all of its ports are to be probed at once.
//! 5. So many probes at once go to a silent host, no more: [`PROBES`].
//!
//! The record belongs to the registry: all workers share it, and it survives reloads.
//!
//! Not here: which backends are on a host (flow's `hosts`), what a probe is (flow's `probe`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use fairlead_model::moment::Moment;

use crate::lock::Lock;

/// Ports that have to be silent before a host is dead. One may be behind a firewall.
pub const PORTS: usize = 3;

/// Connects that have to be given up before a host is dead, as many as `fall` usually is.
pub const GIVEN_UP: u32 = 3;

/// Extra probes at once that a silent host gets, and its ports that are probed at a fast pace.
pub const PROBES: u32 = 8;

/// What a silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Nothing new, or nothing at all.
    Known,
    /// The host is suspect from now on.
    Suspect,
    /// The host is dead from now on.
    Dead,
}

/// One host. Shared by all workers.
#[derive(Debug, Default)]
pub struct HostState {
    /// Its last sign of life, in nanoseconds. Written when a connection comes about or is refused.
    alive: AtomicU64,
    /// Since when it has been silent, in nanoseconds; 0 if it isn't.
    silent: AtomicU64,
    /// Extra probes under way.
    probing: AtomicU32,
    tally: Lock<Tally>,
}

/// What was seen of a silent host.
#[derive(Debug, Default)]
struct Tally {
    /// Ports to which connects were given up.
    ports: Vec<u16>,
    given_up: u32,
    dead: bool,
}

impl HostState {
    /// Whether it is silent, as far as is known.
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.silent.load(Relaxed) != 0
    }

    /// Whether it has given a sign of life since then.
    pub fn lived_since(&self, moment: Moment) -> bool {
        self.alive.load(Relaxed) >= moment.0
    }

    /// Takes note of a sign of life; says whether it was silent before.
    #[inline]
    pub fn answered(&self, now: Moment) -> bool {
        self.alive.store(now.0, Relaxed);
        self.is_silent() && self.revive()
    }

    #[cold]
    fn revive(&self) -> bool {
        let mut tally = self.tally.hold();
        *tally = Tally::default();
        self.silent.swap(0, Relaxed) != 0
    }

    /// Takes note of a connect to one of its `ports` ports that began at `began` and is late, or
    /// was given up.
    pub fn silence(
        &self,
        port: u16,
        ports: usize,
        given_up: bool,
        began: Moment,
        now: Moment,
    ) -> Silence {
        if self.lived_since(began) {
            return Silence::Known;
        }
        let mut tally = self.tally.hold();
        if given_up {
            tally.given_up += 1;
            if tally.ports.len() < PORTS && !tally.ports.contains(&port) {
                tally.ports.push(port);
            }
        }
        let first = self.silent.load(Relaxed) == 0;
        if first {
            self.silent.store(now.0.max(1), Relaxed);
        }
        let enough = tally.ports.len() >= PORTS.min(ports) && tally.given_up >= GIVEN_UP;
        if enough && !tally.dead {
            tally.dead = true;
            return Silence::Dead;
        }
        if first {
            Silence::Suspect
        } else {
            Silence::Known
        }
    }

    /// Claims one of the extra probes of a silent host. Whoever gets `true` releases it.
    pub fn claim_probe(&self) -> bool {
        let claimed = |probing: u32| (probing < PROBES).then_some(probing + 1);
        self.probing.fetch_update(Relaxed, Relaxed, claimed).is_ok()
    }

    /// Gives it back.
    pub fn release_probe(&self) {
        self.probing.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(1_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn the_first_silence_makes_it_suspect_and_a_sign_of_life_ends_that() {
        let host = HostState::default();
        assert_eq!(host.silence(80, 9, false, at(0), at(3)), Silence::Suspect);
        assert_eq!(host.silence(81, 9, false, at(0), at(4)), Silence::Known);
        assert!(host.is_silent());
        assert!(host.answered(at(5)));
        assert!(!host.is_silent() && !host.answered(at(6)));
    }

    #[test]
    fn a_sign_of_life_since_the_connect_began_refutes_it() {
        let host = HostState::default();
        host.answered(at(10));
        assert_eq!(host.silence(80, 9, true, at(9), at(1_009)), Silence::Known);
        assert!(!host.is_silent());
        assert_eq!(host.silence(80, 9, true, at(11), at(1_011)), Silence::Suspect);
    }

    #[test]
    fn it_is_dead_when_three_ports_were_given_up() {
        let host = HostState::default();
        assert_eq!(host.silence(80, 9, true, at(0), at(1_000)), Silence::Suspect);
        for _ in 0..5 {
            assert_eq!(host.silence(80, 9, true, at(1_000), at(2_000)), Silence::Known);
        }
        assert_eq!(host.silence(81, 9, true, at(1_000), at(2_000)), Silence::Known);
        assert_eq!(host.silence(82, 9, true, at(1_000), at(2_000)), Silence::Dead);
        assert_eq!(host.silence(83, 9, true, at(1_000), at(2_000)), Silence::Known, "once");
    }

    #[test]
    fn a_host_with_two_ports_needs_both() {
        let host = HostState::default();
        assert_eq!(host.silence(80, 2, true, at(0), at(1_000)), Silence::Suspect);
        assert_eq!(host.silence(80, 2, true, at(0), at(1_000)), Silence::Known);
        assert_eq!(host.silence(81, 2, true, at(0), at(1_000)), Silence::Dead);
    }

    #[test]
    fn probes_are_bounded() {
        let host = HostState::default();
        assert_eq!((0..100).filter(|_| host.claim_probe()).count(), PROBES as usize);
        host.release_probe();
        assert!(host.claim_probe() && !host.claim_probe());
    }
}
