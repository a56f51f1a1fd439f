//! `simulate`: a scenario on a pool of a plan, in virtual time.

use std::time::Duration;

use fairlead_model::plan::Plan;
use fairlead_sim::scenario::{play, Scenario, Seen};
use fairlead_sim::Trouble;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

/// The names of the faults, as Python says them.
fn trouble(name: &str) -> Option<Trouble> {
    Some(match name {
        "killed" => Trouble::Killed { by_reset: true },
        "blackhole" | "flapping" => Trouble::Swallows,
        "no-way-in" => Trouble::SwallowsIn,
        "no-way-out" => Trouble::SwallowsOut,
        "power-loss" => Trouble::PowerLoss,
        "frozen" => Trouble::Frozen,
        "unreachable" => Trouble::Unreachable,
        "slow" => Trouble::Slow(200),
        "check-fails" => Trouble::Sick,
        "loss30" => Trouble::Loses(300),
        "large-lost" => Trouble::LosesLarge,
        "half-lost" => Trouble::LosesWays,
        "closes" => Trouble::Closes,
        "errors" => Trouble::Errs,
        "lags" => Trouble::Lags(2_000),
        "cuts" => Trouble::Cuts,
        _ => return None,
    })
}

/// Plays one fault on one backend (or all) of a pool over some seeds.
#[pyfunction]
#[pyo3(signature = (plan, pool, backend, fault, *, seconds, rate, latency, seeds, seed))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub(crate) fn simulate<'py>(
    py: Python<'py>,
    plan: &[u8],
    pool: usize,
    backend: Option<usize>,
    fault: Option<&str>,
    seconds: f64,
    rate: u32,
    latency: f64,
    seeds: u64,
    seed: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let plan: Plan = serde_json::from_slice(plan)
        .map_err(|error| PyValueError::new_err(format!("not a plan: {error}")))?;
    let what = fault.map(|name| trouble(name).ok_or_else(|| unknown(name))).transpose()?;
    let mut scenario = Scenario {
        pool,
        backend,
        fault: what,
        flaps: (fault == Some("flapping")).then_some(Duration::from_secs(1)),
        lasts: duration(seconds)?,
        rate,
        usual: duration(latency)?,
        seed,
        ..Scenario::of(plan)
    };
    let mut all = Seen::default();
    for nth in 0..seeds {
        scenario.seed = seed.wrapping_add(nth);
        let seen = py.detach(|| play(&scenario)).map_err(PyValueError::new_err)?;
        all.add(seen);
        py.check_signals()?;
    }
    Ok(PyBytes::new(py, &told(&all)))
}

fn told(seen: &Seen) -> Vec<u8> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "requests": seen.requests,
        "failed": seen.failed,
        "failed_posts": seen.failed_posts,
        "late": seen.late,
        "slowest_seconds": seen.slowest.as_secs_f64(),
        "trouble_seconds": seconds(seen.trouble),
        "back_seconds": seconds(seen.back),
        "restored_seconds": seconds(seen.restored),
        "reasons": seen.reasons,
    })
    .to_string()
    .into_bytes()
}

fn unknown(name: &str) -> PyErr {
    PyValueError::new_err(format!("`{name}` is no fault that can be played"))
}

fn duration(seconds: f64) -> PyResult<Duration> {
    let fits = (0.0..=3_600.0).contains(&seconds);
    fits.then(|| Duration::from_secs_f64(seconds))
        .ok_or_else(|| PyValueError::new_err(format!("{seconds} s can't be played")))
}
