//! False alarms: nobody is taken out where all is well, and hardly anybody suspected, whatever
//! answers take and though processes stand still for 300 ms now and then.

use std::time::Duration;

use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_sim::{run, Setting};

/// What answers take on average, in microseconds.
const USUAL: [u64; 8] = [200, 500, 1_000, 5_000, 20_000, 50_000, 100_000, 200_000];

#[expect(clippy::print_stdout, reason = "shown by `cargo test -- --nocapture` alone")]
fn say(text: &str) {
    println!("{text}");
}

/// Runs a quiet world for each mix; fails if anybody was down, or a backend suspected more than
/// once an hour on average.
fn quiet(time: Duration, clients: usize, method: &'static str) {
    for usual in USUAL.map(Duration::from_micros) {
        let report = run(Setting::quiet(usual, time, (clients, method), 0));
        assert_eq!(report.faults, Vec::<String>::new());
        let (mut suspected, mut down) = (Vec::new(), Vec::new());
        for (when, _, event) in &report.events {
            let Event::Health { to, why, .. } = event else { continue };
            let what = format!("{:.3} s: {why}", when.0 as f64 / 1e9);
            match to {
                Health::Suspect => suspected.push(what),
                Health::Down => down.push(what),
                Health::Healthy | Health::Unknown => {}
            }
        }
        let hours = 3.0 * time.as_secs_f64() / 3_600.0;
        let rate = suspected.len() as f64 / hours;
        say(&format!("{method} {usual:?}: {rate:.2} suspicions per backend and hour"));
        assert_eq!(down, Vec::<String>::new(), "{usual:?}");
        assert!(rate < 1.0, "{usual:?}: {rate:.2} per backend and hour: {suspected:#?}");
    }
}

#[test]
fn twenty_quiet_minutes_alarm_nobody() {
    quiet(Duration::from_secs(1_200), 10, "GET");
}

#[test]
fn twenty_quiet_minutes_of_what_is_never_hedged_alarm_nobody() {
    quiet(Duration::from_secs(1_200), 10, "PUT");
}

#[test]
#[ignore = "takes a minute: `make test-all` runs it"]
fn a_quiet_hour_alarms_nobody() {
    quiet(Duration::from_secs(3_600), 20, "GET");
}

#[test]
#[ignore = "takes a minute: `make test-all` runs it"]
fn a_quiet_hour_of_what_is_never_hedged_alarms_nobody() {
    quiet(Duration::from_secs(3_600), 20, "PUT");
}
