//! What follows from a round of a probe: who is told of its verdict, and when the next one is made.

use std::time::Duration;

use fairlead_model::health::{Evidence, Health, Origin};
use fairlead_model::moment::Moment;

use super::{Probe, Stage, Watcher, HURRIED};
use crate::driver::Driver;
use crate::flow::Flow;
use crate::slab::Key;

impl Probe {
    /// A backend in doubt is asked more often: while it is suspect, and for a minute after it
    /// went down. One that stays down longer is asked at the ordinary pace.
    ///
    /// The fast pace counts from the beginning of a round that failed: one that waited in vain
    /// has been pause enough. After a pass that didn't bring a backend back yet, the next follows
    /// in half the time. So a host that was silent is in use again 1.3 s after it speaks, whenever
    /// that is, with a time-out of 1 s, a fast interval of 500 ms and two passes needed.
    fn pause(&self, passed: bool, now: Moment) -> Duration {
        let is = |health| move |watcher: &Watcher| watcher.backend.state.health() == health;
        let suspect = self.watchers.iter().any(is(Health::Suspect));
        let fresh =
            self.failing_since.is_some_and(|since| now.since(since) < Duration::from_secs(60));
        let fast = self.question.fast_interval;
        let coming = passed && self.watchers.iter().any(is(Health::Down));
        if !suspect && !fresh && !coming {
            self.question.interval
        } else if !passed {
            fast.saturating_sub(now.since(self.started))
        } else if self.watchers.iter().any(is(Health::Down)) {
            fast / 2
        } else {
            fast
        }
    }
}

impl Flow {
    pub(crate) fn probe_result<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        passed: bool,
        what: &'static str,
        detail: String,
        now: Moment,
    ) {
        let worker = self.ctx.worker;
        let Some(probe) = self.probes.get_mut(key) else { return };
        if let Some(conn) = probe.conn.take() {
            self.ctx.roles.clear(conn);
            if passed {
                d.close(conn);
            } else {
                d.abort(conn);
            }
        }
        probe.had_result = true;
        probe.input = Vec::new();
        // A fault is played at one backend of one pool; whoever else is at this place is not told.
        let played = probe.fault.take().is_some() && !passed;
        let evidence = Evidence { origin: Origin::Check, passed, what, detail };
        let took = now.since(probe.started);
        let hurried = std::mem::take(&mut probe.hurried) >= HURRIED;
        for watcher in &probe.watchers {
            if played && !self.ctx.chaos.is_target(&watcher.backend) {
                continue;
            }
            let state = &watcher.backend.state;
            state.shard(worker).add_check(passed);
            if passed {
                state.check_took(took);
            }
            // Those that were given up were failures, too, as it turns out.
            for _ in 0..if hurried { watcher.rules.fall } else { 1 } {
                let change = state.observe(&evidence, &watcher.rules, now);
                self.ctx.changed(&watcher.backend, change);
            }
        }
        // A first pass doesn't bring it back yet; the next ones are to come as soon.
        let is_down = |watcher: &Watcher| watcher.backend.state.health() == Health::Down;
        let failing = !passed || probe.watchers.iter().any(is_down);
        probe.failing_since = failing.then(|| probe.failing_since.unwrap_or(now));
        self.probe_schedule(d, key, passed, now);
    }

    /// Sets the time of the next round, or ends a chain whose doubt is settled.
    pub(super) fn probe_schedule<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        passed: bool,
        now: Moment,
    ) {
        let Some(probe) = self.probes.get_mut(key) else { return };
        probe.stage = Stage::Waiting;
        // Once it is down the regular probe goes on at the fast pace; that begins with its next
        // round.
        let interval = probe.question.interval;
        let is_open = |watcher: &Watcher| match watcher.backend.state.health() {
            Health::Suspect => true,
            Health::Down => now.since(watcher.backend.state.since()) < interval,
            Health::Unknown | Health::Healthy => false,
        };
        let open = probe.watchers.iter().any(is_open);
        if probe.doubted.is_some() && !open {
            return self.probe_forget(d, key);
        }
        let pause = probe.pause(passed, now);
        let spared = probe.doubted.is_none()
            && probe.question.endpoints.first().is_some_and(|first| self.ctx.is_spared(first));
        let pause = if spared { pause.max(probe.question.interval) } else { pause };
        // Spread by a tenth, so that probes that began together don't stay together.
        let pause = self.ctx.random.spread(pause, 0.1);
        self.probe_arm(key, now + pause);
    }
}
