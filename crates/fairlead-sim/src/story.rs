//! A run told in lines, for whoever wants to know what happened in the world of a seed.

use std::fmt::Write;

use fairlead_model::event::Event;
use fairlead_model::moment::Moment;

use crate::report::{Delivery, Report, Request};
use crate::setting::Setting;

/// The world as it was set up: pools, anchors, troubles.
pub fn setting(setting: &Setting) -> Vec<String> {
    let mut lines = vec![format!(
        "{:?} {}: {} workers, {:?}",
        setting.theme, setting.seed, setting.workers, setting.weather
    )];
    for (pool, anchors) in setting.plan.pools.iter().zip(&setting.anchors) {
        lines.push(format!("{}: {:?}, anchors {anchors:?}", pool.name, pool.policy));
        lines.push(format!("  {:?} {:?} {:?}", pool.check, pool.timeouts, pool.retry));
        for backend in &pool.backends {
            lines.push(format!("  {backend:?}"));
        }
    }
    for (host, character) in setting.characters.iter().enumerate() {
        lines.push(format!("host {host}: {character:?}"));
    }
    lines.extend(setting.troubles.iter().map(|episode| {
        let (from, until) = (seconds(episode.from), seconds(episode.until));
        format!("{from} to {until}: host {} {:?}", episode.host, episode.what)
    }));
    lines
}

/// What happened, in order: changes of health, and each request with its deliveries.
pub fn happenings(report: &Report) -> Vec<String> {
    let mut lines: Vec<(Moment, String)> = Vec::new();
    for (when, worker, event) in &report.events {
        let text = match event {
            Event::Health { backend, from, to, why, .. } => {
                format!("{backend} {from:?} -> {to:?}: {why}")
            }
            other => format!("{other:?}"),
        };
        lines.push((*when, format!("{} worker {worker}: {text}", seconds(*when))));
    }
    for request in &report.requests {
        lines.push((request.began, told(report, request)));
    }
    for stream in &report.streams {
        let there = report.streams_at_backends.get(&stream.id);
        lines.push((stream.began, format!("{} {stream:?} there {there:?}", seconds(stream.began))));
    }
    lines.sort_by_key(|(when, _)| *when);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn told(report: &Report, request: &Request) -> String {
    let mut line = format!(
        "{} to {}: request {} {} to pool {}, {} bytes, nth {} on its connection: {:?}; sent to {:?}",
        seconds(request.began),
        seconds(request.ended),
        request.id,
        request.method,
        request.pool,
        request.body,
        request.nth,
        request.outcome,
        report.sends.get(&request.id),
    );
    for delivery in report.deliveries.get(&request.id).into_iter().flatten() {
        let _ = write!(line, "\n    host {}:{}", delivery.host, services(delivery));
    }
    line
}

fn services(delivery: &Delivery) -> String {
    let told = |(when, service): &(Moment, _)| format!(" {} {service:?}", seconds(*when));
    delivery.services.iter().map(told).collect()
}

fn seconds(moment: Moment) -> String {
    format!("{:.6}", moment.0 as f64 / 1e9)
}
