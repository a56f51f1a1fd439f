//! (g): health changes by evidence alone, and nobody stays down who is well again.

use fairlead_model::event::Event;
use fairlead_model::health::Health;

use super::Promises;
use crate::report::Report;

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
        if wrong && !promises.exhausts {
            broken.push(format!("(g) {backend} did nothing wrong and was {to:?} at {when:?}: {why}"));
        }
    }
    broken
}

/// Which host an address of the plan stands for.
fn host_of(address: &str) -> Option<usize> {
    address.strip_suffix(":80")?.rsplit('.').next()?.parse().ok()
}
