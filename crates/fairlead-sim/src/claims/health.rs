//! (g): health changes by evidence alone, and nobody stays down who is well again.

use fairlead_model::event::Event;
use fairlead_model::health::Health;

use super::Promises;
use crate::report::Report;
use crate::setting::Theme;

pub(super) fn check(promises: &Promises, report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    for (when, _, event) in &report.events {
        let Event::Health { backend, to, why, .. } = event else { continue };
        let Some(host) = host_of(backend) else { continue };
        let late = why.contains("not counted as a failure");
        let wrong = match to {
            Health::Down => promises.blameless[host],
            Health::Suspect => promises.blameless[host] && !late,
            Health::Healthy | Health::Unknown => false,
        };
        if wrong && !promises.exhausts && promises.theme != Theme::Panics {
            broken.push(format!("(g) {backend} did nothing wrong and was {to:?} at {when:?}: {why}"));
        }
    }
    if promises.theme == Theme::Recovery {
        broken.extend(report.healths.iter().filter_map(|health| recovered(promises, health)));
    }
    broken
}

/// Nobody is left behind who has been well for longer than any hold. But a backup that traffic
/// took down isn't tried while the first group can do without it.
fn recovered(
    promises: &Promises,
    (pool, address, health): &(String, String, Health),
) -> Option<String> {
    let plan = promises.plan.pools.iter().find(|plan| plan.name == *pool)?;
    let backend = plan.backends.iter().find(|backend| backend.address == *address)?;
    let lowest = plan.backends.iter().map(|backend| backend.group).min()?;
    let ill = matches!(health, Health::Suspect | Health::Down);
    (ill && backend.group == lowest)
        .then(|| format!("(g) {address} has been well for minutes and still is {health:?}"))
}

/// Which host an address of the plan stands for.
fn host_of(address: &str) -> Option<usize> {
    address.strip_suffix(":80")?.rsplit('.').next()?.parse().ok()
}
