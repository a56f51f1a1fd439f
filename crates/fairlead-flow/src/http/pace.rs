//! Whether a client moves fast enough: `limits.min_rate`, both ways.
//!
//! Rules of this file
//! 1. A client is too slow only where there is something for it to do: a request's body to send that
//!    somebody waits for, or bytes of an answer to take that we hold. Long polls, quiet streams,
//!    upgraded connections and whoever waits for us are never measured.
//! 2. A body may fall [`BEHIND_MS`] behind the rate (or `timeouts.body`, if that is longer), and
//!    each byte makes up for its part of it; what was sent faster before is not credited. Time in
//!    which we don't read doesn't count.
//! 3. What a client takes is what its kernel has acknowledged, looked at only after it has left us
//!    with bytes for a while. Time is up if that is less than the rate over `timeouts.idle`;
//!    without a rate, if it is nothing. Where the driver can't say, taking all of what we hold (at
//!    most some hundred KiB) is what counts.
//!
//! Not here: silence in a body (`timeouts.body`, in `wait`), heads (`timeouts.head`, which is for the
//! whole of one: bytes and time together are the least rate).

use std::time::Duration;

use fairlead_model::limits::BEHIND_MS;
use fairlead_model::moment::Moment;
use fairlead_model::plan::ListenerPlan;

use crate::driver::Driver;
use crate::flow::Flow;
use crate::slab::Key;

/// The first look at what a client has taken comes after this part of the time that it has.
const FIRST_LOOK: u32 = 8;

/// How a client keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// With a body: when it will be too far behind. With an answer: since when it is being looked
    /// at; [`NEVER`] while it is not.
    at: Moment,
    /// What it had taken at the last look; `None` before the first.
    taken: Option<u64>,
}

const NEVER: Moment = Moment(u64::MAX);

impl Pace {
    pub(crate) const NOTHING: Pace = Pace { at: NEVER, taken: None };

    /// A body begins to be waited for, or is waited for again.
    #[inline]
    pub(crate) fn wait_for_body(&mut self, plan: &ListenerPlan, now: Moment) {
        self.at = now + behind(plan);
    }

    /// So many bytes of a body have come.
    #[inline]
    pub(crate) fn came(&mut self, count: u64, plan: &ListenerPlan, now: Moment) {
        let whole = now + behind(plan);
        // Without a rate any progress will do.
        self.at = plan.limits.min_rate.map_or(whole, |rate| {
            let worth = count.saturating_mul(1_000_000_000) / rate.max(1);
            whole.min(self.at + Duration::from_nanos(worth))
        });
    }

    /// When a body will be too far behind.
    #[inline]
    pub(crate) fn body_until(&self) -> Moment {
        self.at
    }

    /// We hold bytes that a client has to take. Answers when to look first.
    pub(crate) fn begin_taking(&mut self, idle: Duration, now: Moment) -> Moment {
        *self = Pace { at: now, taken: None };
        now + idle / FIRST_LOOK
    }

    /// A look at what it has taken in its life, as far as that is known. Answers when to look again;
    /// `None`: it is too slow.
    fn look(
        &mut self,
        taken: Option<u64>,
        rate: Option<u64>,
        idle: Duration,
        now: Moment,
    ) -> Option<Moment> {
        let since = now.since(self.at);
        if since < idle {
            if self.taken.is_none() {
                self.taken = taken;
            }
            return Some(self.at + idle);
        }
        let (taken, before) = (taken?, self.taken?);
        let least = rate.map_or(0, |rate| rate.saturating_mul(since.as_millis() as u64) / 1_000);
        if taken - before.min(taken) < least.max(1) {
            return None;
        }
        *self = Pace { at: now, taken: Some(taken) };
        Some(now + idle)
    }
}

/// How far a body may fall behind.
fn behind(plan: &ListenerPlan) -> Duration {
    plan.timeouts.body.duration().max(Duration::from_millis(BEHIND_MS))
}

impl Flow {
    /// Time is up for a client that has something to take. True if it is too slow; otherwise it is
    /// looked at again.
    pub(crate) fn takes_too_little<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        let plan = client.listener.plan();
        let (rate, idle) = (plan.limits.min_rate, plan.timeouts.idle.duration());
        let again = if client.pace.at == NEVER {
            Some(client.pace.begin_taking(idle, now))
        } else {
            client.pace.look(d.taken(client.conn), rate, idle, now)
        };
        let Some(again) = again else { return true };
        self.client_arm(key, again);
        false
    }
}

#[cfg(test)]
mod tests {
    use fairlead_model::plan::{ListenerLimits, ListenerTimeouts, Millis, Protocol};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn plan(min_rate: Option<u64>, body_seconds: u64) -> ListenerPlan {
        let second = Millis(1_000);
        let body = Millis(body_seconds * 1_000);
        ListenerPlan {
            name: "web".into(),
            bind: Vec::new(),
            protocol: Protocol::Http,
            pool: None,
            routes: Vec::new(),
            timeouts: ListenerTimeouts { head: second, body, idle: second, tunnel: second },
            limits: ListenerLimits {
                head: 1,
                headers: 1,
                body: None,
                connections: 1,
                target: None,
                pipelined: 65_536,
                connections_per_client: None,
                requests: None,
                min_rate,
                trailers: 32,
                trailer_bytes: 8 * 1024,
                chunk_line: 256,
                chunk_excess: 16 * 1024,
            },
            trusted_proxies: Vec::new(),
            keepalive: None,
            via: None,
            proxy_protocol: false,
        }
    }

    fn waiting(plan: &ListenerPlan) -> Pace {
        let mut pace = Pace::NOTHING;
        pace.wait_for_body(plan, at(0));
        pace
    }

    #[test]
    fn a_body_that_drips_is_as_good_as_none() {
        let plan = plan(Some(240), 20);
        let mut pace = waiting(&plan);
        for second in 1..30 {
            pace.came(1, &plan, at(second));
        }
        assert!(pace.body_until() < at(31));
    }

    #[test]
    fn a_body_at_its_least_rate_goes_on_for_ever() {
        let plan = plan(Some(240), 20);
        let mut pace = waiting(&plan);
        for second in (10..100_000).step_by(10) {
            pace.came(2_400, &plan, at(second));
            assert!(pace.body_until() >= at(second + 20));
        }
    }

    #[test]
    fn a_fast_beginning_earns_no_slow_end_but_a_stall_is_made_up_for() {
        let plan = plan(Some(240), 20);
        let mut pace = waiting(&plan);
        pace.came(100_000_000, &plan, at(1));
        assert_eq!(pace.body_until(), at(31));
        // A tunnel of 29 s, and a slow time behind it.
        for second in 30..60 {
            pace.came(1_400, &plan, at(second));
        }
        assert_eq!(pace.body_until(), at(89));
    }

    #[test]
    fn whoever_may_be_silent_for_longer_may_be_behind_for_as_long() {
        assert_eq!(waiting(&plan(Some(240), 90)).body_until(), at(90));
    }

    #[test]
    fn without_a_rate_every_byte_begins_the_time_anew() {
        let plan = plan(None, 20);
        let mut pace = waiting(&plan);
        pace.came(1, &plan, at(29));
        assert_eq!(pace.body_until(), at(59));
    }

    #[test]
    fn who_takes_nothing_goes_after_the_idle_time() {
        for rate in [None, Some(240)] {
            let mut pace = Pace::NOTHING;
            assert_eq!(pace.begin_taking(IDLE, at(0)), at(7) + Duration::from_millis(500));
            assert_eq!(pace.look(Some(5_000), rate, IDLE, at(8)), Some(at(60)));
            assert_eq!(pace.look(Some(5_000), rate, IDLE, at(60)), None);
        }
    }

    #[test]
    fn who_takes_a_little_goes_if_that_is_less_than_the_rate() {
        let looks = |rate: Option<u64>, taken: u64| {
            let mut pace = Pace::NOTHING;
            pace.begin_taking(IDLE, at(0));
            pace.look(Some(0), rate, IDLE, at(8));
            pace.look(Some(taken), rate, IDLE, at(60))
        };
        assert_eq!(looks(Some(240), 14_399), None);
        assert_eq!(looks(Some(240), 14_400), Some(at(120)));
        assert_eq!(looks(None, 1), Some(at(120)));
    }

    #[test]
    fn where_nobody_can_say_what_was_taken_the_idle_time_holds() {
        let mut pace = Pace::NOTHING;
        pace.begin_taking(IDLE, at(0));
        assert_eq!(pace.look(None, Some(240), IDLE, at(8)), Some(at(60)));
        assert_eq!(pace.look(None, Some(240), IDLE, at(60)), None);
    }
}
