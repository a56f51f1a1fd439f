//! (g): health changes by evidence alone, and nobody stays down who is well again.

use std::time::Duration;

use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use super::Promises;
use crate::report::Report;
use crate::setting::{Theme, Trouble};

pub(super) fn check(promises: &Promises, report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    for (when, _, event) in &report.events {
        let Event::Health { backend, to, why, .. } = event else { continue };
        let Some(host) = host_of(backend) else { continue };
        let late = why.contains("not counted as a failure");
        let wrong = match to {
            Health::Down => promises.blameless[host] || !is_explained(promises, host, *when),
            Health::Suspect => promises.blameless[host] && !late,
            Health::Healthy | Health::Unknown => false,
        };
        let uneven = promises.uneven[host] && why.contains("were slow");
        let hurried = promises.unsteady[host] && why.contains("times within 200 ms");
        if wrong && !uneven && !hurried && !promises.exhausts && !promises.theme.has_panics() {
            broken
                .push(format!("(g) {backend} did nothing wrong and was {to:?} at {when:?}: {why}"));
        }
    }
    if promises.theme == Theme::Recovery {
        broken.extend(report.healths.iter().filter_map(|health| recovered(promises, health)));
    }
    broken
}

/// Whether a trouble of this host explains that it is down at this moment: one that lasts, or
/// ended so shortly ago that somebody was still waiting for it.
fn is_explained(promises: &Promises, host: usize, when: Moment) -> bool {
    let moves = matches!(promises.theme, Theme::Changes | Theme::Mixed);
    if promises.rude[host] || moves {
        return true;
    }
    promises.troubles.iter().filter(|episode| episode.host == host).any(|episode| {
        let slow = matches!(episode.what, Trouble::Slow(_));
        let echo = if slow { promises.slowest } else { Duration::ZERO };
        when >= episode.from && when <= episode.until + promises.longest + echo
    })
}

/// Nobody is left behind who has been well for longer than any hold. But a backup that traffic
/// took down isn't tried while the first group can do without it, and one that is slow beside
/// others stays ejected.
fn recovered(
    promises: &Promises,
    (pool, address, health): &(String, String, Health),
) -> Option<String> {
    let plan = promises.plan.pools.iter().find(|plan| plan.name == *pool)?;
    let backend = plan.backends.iter().find(|backend| backend.address == *address)?;
    let lowest = plan.backends.iter().map(|backend| backend.group).min()?;
    let ill = matches!(health, Health::Suspect | Health::Down);
    let uneven = host_of(address).is_some_and(|host| promises.uneven[host]);
    (ill && backend.group == lowest && !uneven)
        .then(|| format!("(g) {address} has been well for minutes and still is {health:?}"))
}

/// Which host an address of the plan stands for.
fn host_of(address: &str) -> Option<usize> {
    address.strip_suffix(":80")?.rsplit('.').next()?.parse().ok()
}
