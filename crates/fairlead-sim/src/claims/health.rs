//! (g): health changes by evidence alone, and nobody stays down who is well again.
//!
//! Rules of this file
//! 1. Whoever is told to be down or suspect did something that explains it, at a time that does.
//! 2. Each change begins where the last one ended, and says whose word it was. Nobody is healthy
//!    again without a word from its host: one that can't say anything doesn't come back.
//! 3. Nobody is out for longer than what is to bring it back can take: `rise` checks after the
//!    hold of one that flaps, or a trial after its own. Who is suspect after being down is out, too.

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_balance::deadline::QUICK;
use fairlead_balance::trial::TRIAL_PATIENCE;
use fairlead_balance::trust::{LONGEST_FLAP_HOLD, LONGEST_HOLD};
use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{CheckKind, PoolPlan};

use super::Promises;
use crate::report::Report;
use crate::setting::{Episode, Theme, Trouble};

/// Whose word a change may be.
const WITNESSES: [&str; 4] = ["check: ", "traffic: ", "host: ", "operator: "];

pub(super) fn check(promises: &Promises, report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    let mut believed: BTreeMap<(&str, &str), Health> = BTreeMap::new();
    // Since when those are down that are not healthy again; one that flaps is suspect meanwhile.
    let mut out: BTreeMap<(&str, &str), Moment> = BTreeMap::new();
    for (when, _, event) in &report.events {
        let Event::Health { pool, backend, from, to, why } = event else { continue };
        let known = believed.insert((pool, backend), *to).unwrap_or(Health::Unknown);
        let told = WITNESSES.iter().any(|witness| why.starts_with(witness));
        // A reload that takes a backend out and puts it back begins anew.
        if !told || known != *from && !moves(promises) {
            broken.push(format!("(g) {backend} went from {known:?} by {from:?} to {to:?}: {why}"));
        }
        let Some(host) = host_of(backend) else { continue };
        // Who was down and is suspect now has come half of the way back.
        let accused = (*from, *to) != (Health::Down, Health::Suspect);
        let wrong = unexplained(promises, host, (*when, *to), why);
        if let Some(wrong) = wrong.filter(|_| accused) {
            broken.push(format!("(g) {backend} {wrong} at {when:?}: {why}"));
        }
        let key = (pool.as_str(), backend.as_str());
        if let Some(since) = out.get(&key).copied() {
            let comes_back = *from == Health::Down && *to == Health::Suspect;
            let is_back = *to == Health::Healthy;
            if (comes_back || is_back) && is_dead_silent(promises, host, since, *when) {
                broken.push(format!("(g) {backend} said nothing and came back at {when:?}: {why}"));
            }
            if let Some(time) = is_late(promises, key, (since, *when)).filter(|_| is_back) {
                broken.push(format!("(g) {backend} was out {time:?} too long"));
            }
        }
        match to {
            Health::Down => {
                out.insert(key, *when);
            }
            Health::Suspect => {}
            Health::Healthy | Health::Unknown => {
                out.remove(&key);
            }
        }
    }
    if promises.theme == Theme::Recovery {
        broken.extend(report.healths.iter().filter_map(|health| recovered(promises, health)));
    }
    broken
}

/// What nothing explains about this change, if anything.
fn unexplained(
    promises: &Promises,
    host: usize,
    (when, to): (Moment, Health),
    why: &str,
) -> Option<&'static str> {
    let late = why.contains("not counted as a failure");
    let wrong = match to {
        Health::Down => promises.blameless[host] || !is_explained(promises, host, when),
        Health::Suspect => promises.blameless[host] && !late,
        Health::Healthy | Health::Unknown => false,
    };
    // A verdict on how many were slow is by odds, a million to one; more are given in all worlds.
    // That it is no more often wrong shows in `tests/alarms.rs`.
    let uneven = promises.wavering[host] && why.contains("were slow");
    let hurried =
        promises.unsteady[host] && why.contains(&format!("times within {} ms", QUICK.as_millis()));
    let excused = uneven || hurried || promises.exhausts || promises.theme.has_panics();
    (wrong && !excused).then_some("did nothing wrong and was not believed")
}

/// Whether backends are other ones under the same name, or somewhere else, from time to time.
fn moves(promises: &Promises) -> bool {
    matches!(promises.theme, Theme::Changes | Theme::Mixed)
}

/// Whether a trouble of this host explains that it is down at this moment: one that lasts, or
/// ended so shortly ago that somebody was still waiting for it.
fn is_explained(promises: &Promises, host: usize, when: Moment) -> bool {
    if promises.rude[host] || moves(promises) {
        return true;
    }
    troubles(promises, host).any(|episode| {
        let echo = match episode.what {
            Trouble::Slow(_) => promises.slowest,
            Trouble::Lags(millis) => Duration::from_millis(millis.into()),
            _ => Duration::ZERO,
        };
        when >= episode.from && when <= episode.until + promises.longest + echo
    })
}

fn troubles(promises: &Promises, host: usize) -> impl Iterator<Item = &Episode> {
    promises.troubles.iter().filter(move |episode| episode.host == host)
}

/// Whether a host could say nothing at all in all this time.
fn is_dead_silent(promises: &Promises, host: usize, from: Moment, until: Moment) -> bool {
    let mute = |what: Trouble| {
        matches!(what, Trouble::Swallows | Trouble::SwallowsOut | Trouble::PowerLoss)
    };
    // What was under way before it fell silent may still arrive.
    let lasting = Duration::from_secs(1);
    // At the very moment at which it ends it may be heard: what happens at one time has no order.
    !moves(promises)
        && troubles(promises, host).any(|episode| {
            mute(episode.what) && episode.from + lasting <= from && until < episode.until
        })
}

/// By how much it was out for longer than its checks or its trials explain: from the end of its
/// last trouble on, or of the one that took it down.
fn is_late(
    promises: &Promises,
    (pool, address): (&str, &str),
    (from, until): (Moment, Moment),
) -> Option<Duration> {
    let plan = promises.plan.pools.iter().find(|plan| plan.name == pool)?;
    let host = host_of(address)?;
    let steady = promises.theme == Theme::Recovery;
    if !steady || promises.uneven[host] || is_backup(plan, address) {
        return None;
    }
    let ends = troubles(promises, host).map(|episode| episode.until);
    let over = ends.filter(|end| *end <= until).max().unwrap_or(from).max(from);
    let most = longest_way_back(plan, promises);
    let took = until.since(over);
    (took > most).then(|| took.saturating_sub(most))
}

/// The longest time after which one that is well has to be believed again, if requests come
/// steadily.
fn longest_way_back(plan: &PoolPlan, promises: &Promises) -> Duration {
    let check = &plan.check;
    let round = check.interval.duration().mul_f64(1.1) + promises.slowest;
    let checked = match check.kind {
        // A pass that comes during the hold begins the count anew.
        CheckKind::None => Duration::ZERO,
        _ => LONGEST_FLAP_HOLD + round * (check.rise + 1) + promises.longest,
    };
    let hold = if plan.retry.hedge { LONGEST_FLAP_HOLD } else { LONGEST_HOLD };
    let tried = hold + TRIAL_PATIENCE + promises.longest + promises.slowest;
    checked.max(tried)
}

/// Nobody is left behind who has been well for longer than any hold. But a backup that traffic
/// took down isn't tried while the first group can do without it, and one that is slow beside
/// others stays ejected.
fn recovered(
    promises: &Promises,
    (pool, address, health): &(String, String, Health),
) -> Option<String> {
    let plan = promises.plan.pools.iter().find(|plan| plan.name == *pool)?;
    let ill = matches!(health, Health::Suspect | Health::Down);
    let uneven = host_of(address).is_some_and(|host| promises.uneven[host]);
    (ill && !is_backup(plan, address) && !uneven)
        .then(|| format!("(g) {address} has been well for minutes and still is {health:?}"))
}

/// Whether it belongs to another group than the first.
fn is_backup(plan: &PoolPlan, address: &str) -> bool {
    let lowest = plan.backends.iter().map(|backend| backend.group).min();
    let own = plan.backends.iter().find(|backend| backend.address == address);
    own.map(|backend| backend.group) != lowest
}

/// Which host an address of the plan stands for.
fn host_of(address: &str) -> Option<usize> {
    address.strip_suffix(":80")?.rsplit('.').next()?.parse().ok()
}
