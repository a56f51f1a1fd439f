//! The standing claims, over many worlds. `make test` runs some of each theme with all of the
//! compiler's checks, and ten thousand as released. `FAIRLEAD_SEEDS=100000` runs more of them per
//! theme, `FAIRLEAD_SEED=1234` one, and tells what happens in it (with `-- --nocapture`).

use std::collections::BTreeMap;

use fairlead_sim::claims::{check, summary, Promises};
use fairlead_sim::{run, story, Report, Setting, Theme};

/// Worlds per theme, each on its own, where the compiler's checks are on: integers that overflow.
const SEEDS: u64 = 180;

/// Worlds of the theme that lasts for minutes.
const LONG_SEEDS: u64 = 50;

fn number(variable: &str) -> Option<u64> {
    // The one thing that a test is told from outside.
    #[expect(clippy::disallowed_methods, reason = "how many seeds is for whoever runs the test")]
    let text = std::env::var(variable).ok()?;
    text.parse().ok()
}

fn world(theme: Theme, seed: u64) -> (Report, Vec<String>) {
    let setting = Setting::of(theme, seed);
    let promises = Promises::of(&setting);
    let mut told = story::setting(&setting);
    let report = run(setting);
    let broken = check(&promises, &report);
    if number("FAIRLEAD_SEED").is_some() {
        told.extend(story::happenings(&report));
        say(&told.join("\n"));
    }
    (report, broken)
}

#[expect(clippy::print_stdout, reason = "shown by `cargo test -- --nocapture` alone")]
fn say(text: &str) {
    println!("{text}");
}

/// Runs all worlds of a theme; fails with the seeds that broke a claim.
fn holds(theme: Theme) {
    let everyday = if theme == Theme::Recovery { LONG_SEEDS } else { SEEDS };
    let seeds = match number("FAIRLEAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FAIRLEAD_SEEDS").unwrap_or(everyday),
    };
    let mut failed = Vec::new();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for seed in seeds {
        let (report, broken) = world(theme, seed);
        for (outcome, count) in summary(&report) {
            *outcomes.entry(outcome).or_default() += count;
        }
        if !broken.is_empty() {
            failed.push(format!("{theme:?} FAIRLEAD_SEED={seed}:\n  {}", broken.join("\n  ")));
        }
    }
    say(&format!("{theme:?}: {outcomes:?}"));
    let shown = failed.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(failed.is_empty(), "{} worlds broke a claim\n{shown}", failed.len());
}

#[test]
fn some_pools_have_a_policy_outside_and_their_worlds_stay_the_same() {
    let plans = || (0..40).map(|seed| Setting::of(Theme::Fair, seed).plan);
    let pools: Vec<_> = plans().flat_map(|plan| plan.pools).collect();
    let outside = pools.iter().filter(|pool| pool.python.is_some()).count();
    assert!(outside * 10 > pools.len() && outside * 2 < pools.len(), "{outside}");
    assert!(plans().flat_map(|plan| plan.pools).eq(pools));
}

#[test]
fn nothing_fails_where_nothing_is_wrong() {
    holds(Theme::Fair);
}

#[test]
fn hosts_that_fail_cost_latency_but_no_error() {
    holds(Theme::Outages);
}

#[test]
fn wrong_answers_reach_nobody() {
    holds(Theme::Manners);
}

#[test]
fn slow_readers_and_long_bodies_cost_no_memory() {
    holds(Theme::Weight);
}

#[test]
fn clients_that_leave_harm_nobody() {
    holds(Theme::Leaving);
}

#[test]
fn tcp_streams_arrive_whole_or_are_reset() {
    holds(Theme::Streams);
}

#[test]
fn tcp_leaves_nothing_behind_however_it_ends() {
    holds(Theme::StreamEnds);
}

#[test]
fn changes_lose_nothing() {
    holds(Theme::Changes);
}

#[test]
fn a_stop_finishes_what_is_under_way() {
    holds(Theme::Stops);
}

#[test]
fn who_is_well_again_is_used_again() {
    holds(Theme::Recovery);
}

#[test]
fn an_error_is_not_the_answer_where_others_answer_well() {
    holds(Theme::Errors);
}

#[test]
fn a_panic_costs_its_connection_and_leaves_nothing_behind() {
    holds(Theme::Panics);
}

#[test]
fn all_of_it_at_once() {
    holds(Theme::Mixed);
}

#[test]
fn an_idle_close_costs_no_post() {
    holds(Theme::Crossings);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for theme in Theme::ALL {
        for seed in 0..3 {
            let (one, _) = world(theme, seed);
            let (same, _) = world(theme, seed);
            assert_eq!((one.digest, one.steps), (same.digest, same.steps), "{theme:?} {seed}");
            let (other, _) = world(theme, seed + 1000);
            assert_ne!(one.digest, other.digest, "{theme:?} {seed}");
        }
    }
}

/// All themes in turn, so many worlds in all: `FAIRLEAD_FIRST=20000 FAIRLEAD_WORLDS=10000` goes on
/// where a run of the first 20,000 ended.
#[test]
#[ignore = "takes minutes unless built for release: `make test` does so; `make soak`: a million"]
fn ten_thousand_worlds_hold() {
    let (first, count) = (number("FAIRLEAD_FIRST").unwrap_or(0), number("FAIRLEAD_WORLDS"));
    let end = first + count.unwrap_or(10_000);
    let next = std::sync::atomic::AtomicU64::new(first);
    let failed = std::sync::Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let nth = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if nth >= end {
                    return;
                }
                let themes = Theme::ALL.len() as u64;
                let (theme, seed) = (Theme::ALL[(nth % themes) as usize], nth / themes);
                // A world in which our own code panics is one more that broke, with its seed.
                let held = std::panic::catch_unwind(|| world(theme, seed).1);
                let broken = held.unwrap_or_else(|_| vec!["a panic".into()]);
                if !broken.is_empty() {
                    let text = broken.join("\n  ");
                    let mut failed = failed.lock().expect("nobody panics while holding it");
                    failed.push(format!("{theme:?} FAIRLEAD_SEED={seed}:\n  {text}"));
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panics while holding it");
    let shown = failed.iter().take(100).cloned().collect::<Vec<_>>().join("\n");
    assert!(failed.is_empty(), "{} of {first}..{end} broke a claim\n{shown}", failed.len());
}
